// As much of IndexedDB as the door key uses, over a Map: one store, get, put, and a cursor.
export const fakeIndexedDB = (entries) => ({ open: () => asked(() => ({ transaction: () => transaction(entries), close() {} })) });

const asked = (value) => {
  const request = {};
  setTimeout(() => { request.result = value(); request.onsuccess?.(); });
  return request;
};
const transaction = (entries) => {
  const change = { objectStore: () => store };
  const done = () => setTimeout(() => change.oncomplete?.(), 5);
  const store = {
    get: (name) => { done(); return asked(() => entries.get(name)); },
    put: (value, name) => { entries.set(name, value); done(); return asked(() => name); },
    openCursor: () => {
      const names = [...entries.keys()];
      const request = {};
      const step = () => setTimeout(() => {
        const key = names.shift();
        request.result = key === undefined ? null : { key, value: entries.get(key), delete: () => entries.delete(key), continue: step };
        request.onsuccess();
        if (key === undefined) done();
      });
      step();
      return request;
    },
  };
  return change;
};
