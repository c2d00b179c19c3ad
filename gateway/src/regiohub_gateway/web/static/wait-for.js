/* <rh-wait-for>: asks for the same page until the answer is another one, then goes there. Without JavaScript the page reloads itself. */
class WaitFor extends HTMLElement {
  connectedCallback() { this.timer = setInterval(() => this.look(), Number(this.dataset.seconds) * 1000); }
  disconnectedCallback() { clearInterval(this.timer); }
  async look() {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      const page = answer.redirected ? "" : await answer.text();
      if (answer.redirected) { clearInterval(this.timer); location.assign(answer.url); }
      else if (answer.ok && !page.includes("<rh-wait-for")) { clearInterval(this.timer); location.reload(); }
    } catch { /* no network: the next look will tell */ }
  }
}
customElements.define("rh-wait-for", WaitFor);
