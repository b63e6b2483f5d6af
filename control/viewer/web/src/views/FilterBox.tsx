// The box of the filter. The server reads filters, so there is one who knows what is wrong with them.

import { useEffect, useRef, useState } from "preact/hooks";
import { filter, flowSearch, mistake } from "../model";
import { follow, searching } from "../live";

const DELAY = 250;

export function FilterBox() {
  const [text, setText] = useState(filter.value);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  // Others may set it, too: the detail of a flow does.
  useEffect(() => filter.subscribe((now) => setText((old) => (old.trim() === now ? old : now))), []);
  useEffect(() => () => clearTimeout(timer.current), []);
  const wrong = mistake.value;
  const apply = (now: string) => {
    clearTimeout(timer.current);
    if (now.trim() !== filter.value || mistake.value) void follow(now.trim());
  };
  const change = (now: string) => {
    setText(now);
    mistake.value = null;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => apply(now), DELAY);
  };
  const lead = text.length - text.trimStart().length;
  const from = wrong ? lead + wrong.position : 0;
  return (
    <div class={`filter ${wrong ? "wrong" : ""} ${searching.value ? "busy" : ""}`} role="search">
      <input
        id="filter"
        type="search"
        spellcheck={false}
        autocomplete="off"
        aria-label="Filter"
        aria-invalid={wrong !== null}
        aria-describedby={wrong ? "filter-mistake" : undefined}
        placeholder="Filter:  ~m POST & ~c 5xx   ~d example   /path   (? for help)"
        value={text}
        onInput={(event) => change(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Enter" && apply(text)}
      />
      {!wrong && !text && <kbd aria-hidden="true">/</kbd>}
      {wrong && (
        <div class="mistake" id="filter-mistake" role="alert">
          <pre aria-hidden="true">
            {text.slice(0, from)}
            <mark>{text.slice(from, from + wrong.length) || " "}</mark>
            {text.slice(from + wrong.length)}
          </pre>
          <p>
            At character {wrong.position + 1}: {wrong.message}
          </p>
        </div>
      )}
    </div>
  );
}

export function FlowSearch() {
  return (
    <div class="filter" role="search">
      <input
        id="filter"
        type="search"
        spellcheck={false}
        autocomplete="off"
        aria-label="Find flows"
        placeholder="Find: address, service, port, reason"
        value={flowSearch.value}
        onInput={(event) => (flowSearch.value = event.currentTarget.value)}
      />
      {!flowSearch.value && <kbd aria-hidden="true">/</kbd>}
    </div>
  );
}
