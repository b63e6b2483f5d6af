// Light or dark: the system's choice until another is made here.

import { signal } from "@preact/signals";

const KEY = "theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const chosen = signal<string | null>(localStorage.getItem(KEY));
/** One more with each change, for what is drawn and not styled. */
export const themeTurn = signal(0);

function dark(): boolean {
  return chosen.value ? chosen.value === "dark" : system.matches;
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = dark() ? "dark" : "light";
  themeTurn.value += 1;
}

system.addEventListener("change", applyTheme);

export function ThemeButton() {
  void themeTurn.value;
  const other = dark() ? "light" : "dark";
  const choose = () => {
    chosen.value = other;
    localStorage.setItem(KEY, other);
    applyTheme();
  };
  return (
    <button class="icon" type="button" aria-label={`Use ${other} colours`} title={`Use ${other} colours`} onClick={choose}>
      <svg viewBox="0 0 20 20" aria-hidden="true">
        <circle cx="10" cy="10" r="6.5" fill="none" stroke="currentColor" stroke-width="1.6" />
        <path d="M10 3.5a6.5 6.5 0 0 1 0 13z" fill="currentColor" />
      </svg>
    </button>
  );
}
