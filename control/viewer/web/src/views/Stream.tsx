// Both directions of a connection in the order in which they came, with what is missing marked as missing.

import { useEffect, useState } from "preact/hooks";
import { type Flow, get, path, type Piece, Problem, type Stream } from "../api";
import { bytes, count, fromBase64, hex, time } from "../format";
import { reveal, state } from "../model";
import { Tabs } from "./Tabs";

const PAGE = 256 << 10;
type Look = "text" | "hex";

const CAUSES: Record<string, string> = {
  acked: "the other side acknowledged them, so they passed elsewhere",
  limit: "too much waited behind them",
  age: "they did not come for too long",
  close: "the connection ended",
};

/** Text of bytes: UTF-8, other bytes and control characters as dots. */
function legible(data: Uint8Array<ArrayBuffer>): string {
  return new TextDecoder().decode(data).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffd]/g, "·").replace(/\r\n/g, "\n");
}

function Part({ piece, look }: { piece: Piece; look: Look }) {
  if (piece.gap !== null) {
    return (
      <p class={`gap ${piece.direction}`} role="note" title={CAUSES[piece.gap] ?? piece.gap}>
        gap: {count(piece.length)} bytes missing <small>from the {piece.direction} at {count(piece.offset)}; {CAUSES[piece.gap] ?? piece.gap}</small>
      </p>
    );
  }
  const data = fromBase64(piece.data);
  return (
    <div class={`piece ${piece.direction}`}>
      <span class="who">
        {piece.direction} · {time(piece.time_ms)} · {count(piece.offset)}+{count(piece.length)}
      </span>
      <pre>{look === "text" ? legible(data) : hex(data, 0, data.length)}</pre>
    </div>
  );
}

function Evicted({ flow }: { flow: Flow }) {
  const [client, server] = flow.evicted;
  if (client + server === 0) return null;
  return (
    <p class="remark">
      The beginning is no longer kept: {bytes(client)} of the client and {bytes(server)} of the server made room for newer events.
    </p>
  );
}

/** What is shown, and whether it was asked for with credentials. */
interface Shown extends Stream {
  revealed: boolean;
}

export function StreamView({ id }: { id: number }) {
  const [stream, setStream] = useState<Shown | null>(null);
  const [problem, setProblem] = useState("");
  const [look, setLook] = useState<Look>("text");
  const revealed = reveal.value;
  const load = (from: number, signal?: AbortSignal) =>
    get<Stream>(`/api/flows/${id}/stream`, { from, bytes: PAGE, reveal: revealed }, signal).then(
      (page) =>
        setStream((old) => {
          if (from === 0) return { ...page, revealed };
          // Only what follows is added, and nothing revealed to what is masked, or the other way round.
          if (old?.next !== from || old.revealed !== revealed) return old;
          return { ...page, revealed, pieces: old.pieces.concat(page.pieces) };
        }),
      (error: Error) => !signal?.aborted && setProblem(error instanceof Problem ? error.message : "The viewer does not answer."),
    );
  useEffect(() => {
    const ended = new AbortController();
    void load(0, ended.signal);
    return () => ended.abort();
  }, [id, revealed]);
  // As long as the connection is open and all of it is shown, more may come.
  const second = state.value?.second;
  useEffect(() => {
    if (!stream || stream.more || stream.flow.close || stream.revealed !== revealed) return;
    const ended = new AbortController();
    void load(stream.next, ended.signal);
    return () => ended.abort();
  }, [second, revealed]);
  if (problem) return <p class="problem" role="alert">{problem}</p>;
  if (!stream) return <p class="empty">…</p>;
  return (
    <div class="stream" role="log" aria-label={`Stream of flow ${id}`} aria-live="off">
      <div class="tools">
        <Tabs label="How to show the stream" chosen={look} choose={setLook} tabs={[{ name: "text", label: "Text" }, { name: "hex", label: "Hex" }]} />
        <span class="legend"><i class="client" /> client <i class="server" /> server</span>
        <span class="grow" />
        <a class="button" href={path(`/api/flows/${id}/pcap`, { reveal: revealed })} download>Save pcap</a>
      </div>
      <Evicted flow={stream.flow} />
      {stream.pieces.length === 0 && (
        <p class="empty">
          No bytes of this connection were exported. They are with <code>observe: tcp</code> or <code>all</code>.
        </p>
      )}
      {stream.pieces.map((piece) => <Part key={piece.n} piece={piece} look={look} />)}
      {stream.more && (
        <button type="button" class="more" onClick={() => void load(stream.next)}>
          Show more
        </button>
      )}
    </div>
  );
}
