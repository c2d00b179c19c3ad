// Sends camera pictures to this page's own server until one holds a code; the server asks the reader.
"use strict";
(() => {
  const box = document.getElementById("camera");
  if (!box || !navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) return;
  const view = document.getElementById("camera-view");
  const say = document.getElementById("camera-say");
  const button = document.getElementById("camera-button");
  const canvas = document.createElement("canvas");
  const PAUSE_MS = 400;
  const WIDEST = 1280;
  let stream = null;

  const stop = (text) => {
    if (stream) stream.getTracks().forEach((track) => track.stop());
    stream = null;
    view.hidden = true;
    view.srcObject = null;
    say.textContent = text;
    button.textContent = box.dataset.start;
  };

  const shoot = () => new Promise((done) => {
    const scale = Math.min(1, WIDEST / view.videoWidth);
    canvas.width = Math.round(view.videoWidth * scale);
    canvas.height = Math.round(view.videoHeight * scale);
    canvas.getContext("2d").drawImage(view, 0, 0, canvas.width, canvas.height);
    canvas.toBlob(done, "image/jpeg", 0.85);
  });

  const look = async (mine) => {
    while (stream === mine) {
      if (view.videoWidth) {
        const body = await shoot();
        const answer = await fetch(box.dataset.url, { method: "POST", body, headers: { "Content-Type": "image/jpeg" } });
        const found = answer.ok ? await answer.json() : { found: false };
        if (found.found && stream === mine) {
          stop("");
          window.location.assign(found.next);
          return;
        }
      }
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
  };

  const start = async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      view.srcObject = stream;
      view.hidden = false;
      await view.play();
      say.textContent = box.dataset.on;
      button.textContent = box.dataset.stop;
      await look(stream);
    } catch {
      stop(box.dataset.off);
    }
  };

  box.hidden = false;
  button.addEventListener("click", () => (stream ? stop("") : start()));
  window.addEventListener("pagehide", () => stop(""));
})();
