// The badge of what was lost on the way here. It is there only when something was.

import { useEffect, useRef, useState } from "preact/hooks";
import { count } from "../format";
import { lost, state } from "../model";

export function Lost() {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: MouseEvent) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("mousedown", outside);
    return () => document.removeEventListener("mousedown", outside);
  }, [open]);
  const total = lost.value;
  const refused = Object.values(state.value?.refused ?? {}).reduce((sum, one) => sum + one, 0);
  if (total === 0 && refused === 0) return null;
  return (
    <div class="lost" ref={box} onKeyDown={(event) => event.key === "Escape" && setOpen(false)}>
      <button type="button" aria-expanded={open} aria-haspopup="dialog" onClick={() => setOpen(!open)}>
        {total > 0 ? `${count(total)} ${total === 1 ? "event" : "events"} dropped` : `${count(refused)} messages refused`}
      </button>
      {open && <Explanation refused={refused} />}
    </div>
  );
}

function Explanation({ refused }: { refused: number }) {
  const { lost: account, refused: reasons } = state.value ?? {};
  const workers = account?.workers.filter((worker) => worker.lost > 0) ?? [];
  return (
    <div class="popover" role="dialog" aria-label="Dropped events">
      <p>
        What is shown is not all that happened: these events never came here. Millrace waits for no consumer. What finds
        no room in a worker's ring or at its socket is dropped and counted.
      </p>
      {workers.length > 0 && (
        <table>
          <thead>
            <tr>
              <th>run</th>
              <th>worker</th>
              <th>received</th>
              <th title="Holes in the numbers of events since the viewer began">missing here</th>
              <th title="What the daemon says it dropped in all">dropped there</th>
              <th title="Of these, before the viewer began">before</th>
            </tr>
          </thead>
          <tbody>
            {workers.map((worker) => (
              <tr key={`${worker.run}/${worker.worker}`}>
                <td>{worker.run.slice(0, 8)}</td>
                <td>{worker.worker}</td>
                <td>{count(worker.received)}</td>
                <td>{count(worker.missing)}</td>
                <td>{count(worker.dropped)}</td>
                <td>{count(worker.dropped_before)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {account && account.earlier > 0 && <p>{count(account.earlier)} more were lost by workers of older runs.</p>}
      <p class="hint">
        More missing here than dropped there: another consumer takes a share of the events, or the connection broke. Give
        this viewer a socket of its own, observe less, or raise the daemon's limits.
      </p>
      {refused > 0 && (
        <p>
          {count(refused)} messages were no events of version 1:{" "}
          {Object.entries(reasons ?? {})
            .filter(([, number]) => number > 0)
            .map(([reason, number]) => `${reason} ${count(number)}`)
            .join(", ")}
          .
        </p>
      )}
    </div>
  );
}
