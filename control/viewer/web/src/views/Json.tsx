// JSON, indented and coloured.

import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";

/** More than this many values are shown without colours. */
const MOST = 20_000;

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d[\d.eE+-]*)/g;

function coloured(source: string): ComponentChildren[] {
  const parts: ComponentChildren[] = [];
  let end = 0;
  for (const found of source.matchAll(TOKEN)) {
    if (parts.length > MOST) break;
    parts.push(source.slice(end, found.index));
    const [all, string, colon, word] = found;
    const kind = string ? (colon ? "key" : "string") : word ? "word" : "digits";
    parts.push(<span class={kind}>{string ?? all}</span>, colon ?? "");
    end = found.index + all.length;
  }
  parts.push(source.slice(end));
  return parts;
}

export function Json({ value }: { value: unknown }) {
  const parts = useMemo(() => coloured(JSON.stringify(value, null, 2)), [value]);
  return (
    <pre class="json" tabIndex={0} aria-label="Body as JSON">
      {parts}
    </pre>
  );
}
