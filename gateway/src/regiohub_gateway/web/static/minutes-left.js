/* <rh-minutes-left>: counts the minutes that the server wrote down to zero. Without JavaScript the text stays as it was. */
class MinutesLeft extends HTMLElement {
  connectedCallback() {
    // The server's clock is business time and may differ from this device's: only the difference counts.
    const shown = Number((this.textContent.match(/\d+/) || ["0"])[0]);
    this.end = performance.now() + shown * 60000;
    this.timer = setInterval(() => this.show(), 15000);
  }
  disconnectedCallback() { clearInterval(this.timer); }
  show() {
    const left = Math.ceil((this.end - performance.now()) / 60000);
    const text = left > 0 ? this.dataset.text.replace("#", String(left)) : this.dataset.over;
    if (text !== this.textContent) this.textContent = text;
    if (left <= 0) clearInterval(this.timer);
  }
}
customElements.define("rh-minutes-left", MinutesLeft);
