// Opens a key page's element without a network: `node door_key.mjs <door-key.js>`, what the device keeps as JSON on stdin.
// Prints the names of what it keeps afterwards.
import { readFileSync } from "node:fs";
import { createContext, runInContext } from "node:vm";
import { fakeIndexedDB } from "./indexed_db.mjs";

const entries = new Map(Object.entries(JSON.parse(readFileSync(0, "utf8"))));
let Element;
const source = readFileSync(process.argv[2], "utf8").replace(/^import .*$/m, "").replaceAll(/^export /gm, "");
runInContext(source, createContext({
  indexedDB: fakeIndexedDB(entries), HTMLElement: class {}, customElements: { define: (_, one) => { Element = one; } },
  TextEncoder, crypto, Date,
}));
const element = new Element();
Object.assign(element, { dataset: { grant: "shown" }, texts: {}, draw() {}, refresh() {}, keepPage() {}, say() {} });
await element.start();
console.log(JSON.stringify([...entries.keys()].sort()));
