// Keys and filters.

import { useEffect, useRef } from "preact/hooks";
import { KEYS } from "../keys";
import { helping } from "../model";

const FILTERS: [string, string][] = [
  ["word", "URL, a regular expression like all below"],
  ["~u", "URL"],
  ["~m", "method"],
  ["~d", "host"],
  ["~c", "status: 404, 4xx, 400-499"],
  ["~s  ~q", "answered, not answered"],
  ["~e", "failed: status from 400 on, or broken off"],
  ["~b  ~bq  ~bs", "body, of request, of response (decoded)"],
  ["~h  ~hq  ~hs", "a line of the head, name: value"],
  ["~t  ~tq  ~ts", "content type"],
  ["~src  ~dst", "address, prefix, port: 10.0.0.1:80, 10.0.0.0/8, :80"],
  ["~f", "number of the flow"],
  ["!  &  |  ( )", "not, and, or; two terms side by side mean and"],
];

function Lines({ title, lines }: { title: string; lines: [string, string][] }) {
  return (
    <section>
      <h3>{title}</h3>
      <dl>
        {lines.map(([name, what]) => (
          <div key={name}>
            <dt>
              <kbd>{name}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helping.value;
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open) dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} aria-label="Help" onClose={() => (helping.value = false)} onClick={(event) => event.target === dialog.current && (helping.value = false)}>
      <div class="help">
        <Lines title="Filters" lines={FILTERS} />
        <Lines title="Keys" lines={KEYS} />
        <button type="button" onClick={() => (helping.value = false)}>
          Close
        </button>
      </div>
    </dialog>
  );
}
