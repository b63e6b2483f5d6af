// The line above: what to look at, the filter, pause, what was lost.

import { togglePause } from "../keys";
import { helping, paused, selection, state, type View, view, waitingCount } from "../model";
import { count } from "../format";
import { FilterBox, FlowSearch } from "./FilterBox";
import { Lost } from "./Lost";
import { ThemeButton } from "./Theme";

function Tab({ name, label, number }: { name: View; label: string; number: number | undefined }) {
  const choose = () => {
    view.value = name;
    selection.value = null;
  };
  return (
    <button type="button" role="tab" aria-selected={view.value === name} onClick={choose}>
      {label}
      {number !== undefined && <span class="number">{count(number)}</span>}
    </button>
  );
}

function Pause() {
  const waiting = waitingCount.value;
  const label = paused.value ? "Resume" : "Pause";
  return (
    <button type="button" class={`pause ${paused.value ? "on" : ""}`} aria-pressed={paused.value} onClick={togglePause} title={`${label} (p)`}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        {paused.value ? <path d="M4.5 2.8v10.4L13 8z" /> : <path d="M4 3h3v10H4zM9 3h3v10H9z" />}
      </svg>
      {label}
      {paused.value && <span class="waiting">{count(waiting)} waiting</span>}
    </button>
  );
}

export function Header() {
  const store = state.value?.store;
  return (
    <header>
      <div class="brand">
        <img src="/icon.svg" alt="" width="22" height="22" />
        <span>Millrace</span>
      </div>
      <div class="tabs" role="tablist" aria-label="What to look at">
        <Tab name="exchanges" label="Exchanges" number={store?.exchanges} />
        <Tab name="flows" label="Flows" number={store?.flows} />
      </div>
      {view.value === "exchanges" ? <FilterBox /> : <FlowSearch />}
      <Lost />
      <Pause />
      <ThemeButton />
      <button class="icon" type="button" aria-label="Help" title="Help (?)" onClick={() => (helping.value = !helping.value)}>
        ?
      </button>
    </header>
  );
}
