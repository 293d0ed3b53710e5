// Keeps a page up to date: fetches the same address every two seconds and changes only what differs, so that focus,
// scroll and what is being typed stay. Filters, sorting and paging change the address, which can be shared.
"use strict";
(() => {
  const EVERY_MS = 2000;
  const TYPING_MS = 200;
  const form = document.querySelector("form[data-filter]");
  const note = document.getElementById("update-note");
  const pause = document.getElementById("pause");
  let isPaused = false;
  let turn = 0; // of several fetches only the newest counts
  let timer;
  let typing;

  function isAlike(now, next) {
    return now.nodeType === next.nodeType && now.nodeName === next.nodeName;
  }

  function copyAttributes(now, next) {
    for (const { name } of [...now.attributes]) {
      if (!next.hasAttribute(name)) now.removeAttribute(name);
    }
    for (const { name, value } of next.attributes) {
      if (now.getAttribute(name) !== value) now.setAttribute(name, value);
    }
  }

  // Makes `now` what `next` is; elements with an id are kept where they move, others by their place.
  function change(now, next) {
    if (now.isEqualNode(next)) return;
    if (!isAlike(now, next)) return now.replaceWith(document.importNode(next, true));
    if (now.nodeType !== Node.ELEMENT_NODE) {
      now.nodeValue = next.nodeValue;
      return;
    }
    copyAttributes(now, next);
    const named = new Map([...now.children].filter((it) => it.id).map((it) => [it.id, it]));
    let at = now.firstChild;
    for (const wanted of [...next.childNodes]) {
      const kept = wanted.id ? named.get(wanted.id) : at && !at.id && isAlike(at, wanted) ? at : null;
      if (!kept) {
        now.insertBefore(document.importNode(wanted, true), at);
      } else {
        if (kept === at) at = at.nextSibling;
        else now.insertBefore(kept, at);
        change(kept, wanted);
      }
    }
    while (at) {
      const rest = at.nextSibling;
      at.remove();
      at = rest;
    }
  }

  function show(page) {
    const focused = document.activeElement;
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = page.getElementById(part.id);
      if (next) change(part, next);
    }
    document.title = page.title;
    if (document.activeElement !== focused) {
      const again = focused.isConnected ? focused : document.getElementById(focused.id);
      if (again) again.focus({ preventScroll: true });
    }
  }

  function say(words) {
    if (note.textContent !== words) note.textContent = words;
  }

  async function refresh() {
    clearTimeout(timer);
    turn += 1;
    const mine = turn;
    try {
      const answer = await fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" } });
      const text = await answer.text();
      if (mine !== turn) return;
      if (answer.ok) show(new DOMParser().parseFromString(text, "text/html"));
      say(answer.ok ? "" : `Not up to date: the exporter answers ${answer.status}.`);
    } catch {
      if (mine === turn) say("Not up to date: the exporter does not answer.");
    } finally {
      if (mine === turn) later();
    }
  }

  function later() {
    clearTimeout(timer);
    if (!isPaused && !document.hidden) timer = setTimeout(refresh, EVERY_MS);
  }

  function addressOfForm() {
    const query = new URLSearchParams(location.search);
    query.delete("page");
    const said = new FormData(form);
    for (const { name } of form.elements) query.delete(name);
    for (const [name, value] of said) {
      if (value && !(name === "sort" && value === "urgent")) query.append(name, value);
    }
    return `${location.pathname}?${query}`;
  }

  function fillForm() {
    if (!form) return;
    const query = new URLSearchParams(location.search);
    for (const field of form.elements) {
      if (field.name) field.value = query.get(field.name) ?? (field.name === "sort" ? "urgent" : "");
    }
  }

  function filter() {
    clearTimeout(typing);
    history.replaceState(null, "", addressOfForm());
    refresh();
  }

  if (form) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      filter();
    });
    form.addEventListener("change", filter);
    form.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(filter, TYPING_MS);
    });
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-here]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    history.pushState(null, "", link.href);
    fillForm();
    refresh();
  });
  addEventListener("popstate", () => {
    fillForm();
    refresh();
  });

  pause.hidden = false;
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? "Resume updates" : "Pause updates";
    if (isPaused) clearTimeout(timer);
    else refresh();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else if (!isPaused) refresh();
  });
  later();
})();
