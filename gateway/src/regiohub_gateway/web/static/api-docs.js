/* Swagger UI over the three services' descriptions. */
const names = ["booking", "access", "billing"];
SwaggerUIBundle({
  url: `/api/${names.find((name) => location.hash === `#${name}`) ?? names[0]}/openapi.json`,
  dom_id: "#swagger",
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null,
  supportedSubmitMethods: [],
});
