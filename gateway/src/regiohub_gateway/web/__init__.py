"""The pages: German first, English second, every form and link without JavaScript. Knows no session and no proxy."""
