// The keyboard: j and k, / for the filter, Escape to close, p to pause, ? for help.

import * as model from "./model";

export const KEYS: [string, string][] = [
  ["j  ↓", "next exchange"],
  ["k  ↑", "previous exchange"],
  ["/", "to the filter"],
  ["Esc", "close the detail, leave the filter"],
  ["p", "pause or resume"],
  ["g", "to the newest"],
  ["?", "this help"],
];

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}

export function focusFilter(): void {
  const box = document.querySelector<HTMLInputElement>("#filter");
  box?.focus();
  box?.select();
}

export function togglePause(): void {
  if (model.paused.value) model.resume();
  else model.paused.value = true;
}

function escape(event: KeyboardEvent): void {
  if (typing(event.target)) (event.target as HTMLElement).blur();
  else if (model.helping.value) model.helping.value = false;
  else model.selection.value = null;
}

const ACTIONS: Record<string, (event: KeyboardEvent) => void> = {
  j: () => model.step(1),
  ArrowDown: () => model.step(1),
  k: () => model.step(-1),
  ArrowUp: () => model.step(-1),
  "/": focusFilter,
  p: togglePause,
  g: () => document.querySelector("[role=grid] .scroller")?.scrollTo({ top: 0 }),
  "?": () => (model.helping.value = !model.helping.value),
};

export function listen(): void {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return escape(event);
    if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const within = event.target instanceof HTMLElement && event.target.closest("[role=tablist], .detail pre");
    if (within && event.key.startsWith("Arrow")) return;
    const action = ACTIONS[event.key];
    if (!action || model.connection.value === "login") return;
    if (model.view.value === "flows" && "jk".includes(event.key)) return;
    event.preventDefault();
    action(event);
  });
}
