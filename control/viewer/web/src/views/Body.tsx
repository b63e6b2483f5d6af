// A body, as text, in hexadecimal, or as an image. It is never interpreted as a document.

import { useEffect, useMemo, useState } from "preact/hooks";
import { ask, path } from "../api";
import { bytes, hex } from "../format";
import { Json } from "./Json";
import { Tabs, type TabSpec } from "./Tabs";

type Look = "text" | "pretty" | "hex" | "image";

const IMAGES = /^image\/(png|jpeg|gif|webp|avif|bmp|x-icon|vnd\.microsoft\.icon)\b/i;
const STEP = { text: 128 << 10, hex: 16 << 10 };
const MOST_PRETTY = 1 << 20;

interface Loaded {
  data: Uint8Array<ArrayBuffer>;
  decoded: string | null;
  stopped: string | null;
}

function isBinary(data: Uint8Array): boolean {
  return data.subarray(0, 4096).includes(0);
}

/** The value of JSON, or undefined for what is none. */
function parsed(kind: string, source: string): unknown {
  if (source.length > MOST_PRETTY || !(/json/i.test(kind) || /^\s*[[{]/.test(source))) return undefined;
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}

function charset(kind: string): string {
  const named = /charset="?([\w-]+)/i.exec(kind)?.[1] ?? "utf-8";
  try {
    return new TextDecoder(named).encoding;
  } catch {
    return "utf-8";
  }
}

function Image({ data, kind }: { data: Uint8Array<ArrayBuffer>; kind: string }) {
  const [url, setUrl] = useState("");
  const [size, setSize] = useState("");
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([data], { type: kind }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [data, kind]);
  return (
    <figure>
      {url && <img src={url} alt="The body as an image" onLoad={({ currentTarget: it }) => setSize(`${it.naturalWidth} × ${it.naturalHeight}`)} />}
      <figcaption>{size}</figcaption>
    </figure>
  );
}

function Cut({ shown, all, more }: { shown: number; all: number; more: () => void }) {
  if (shown >= all) return null;
  return (
    <button type="button" class="more" onClick={more}>
      Show more: {bytes(all - shown)} are left
    </button>
  );
}

interface Props {
  id: number;
  side: "request" | "response";
  kind: string;
  coded: boolean;
  /** Changes with the message. */
  end: number;
}

export function BodyView({ id, side, kind, coded, end }: Props) {
  const [decode, setDecode] = useState(true);
  const [body, setBody] = useState<Loaded | null>(null);
  const [problem, setProblem] = useState("");
  const [look, setLook] = useState<Look | null>(null);
  const [steps, setSteps] = useState(1);
  const url = `/api/exchanges/${id}/${side}/body`;
  useEffect(() => {
    const ended = new AbortController();
    const load = async () => {
      const answer = await ask(url, { decode }, ended.signal);
      const data = new Uint8Array(await answer.arrayBuffer());
      setBody({ data, decoded: answer.headers.get("x-millrace-decoded"), stopped: answer.headers.get("x-millrace-stopped") });
    };
    load().catch((error: Error) => !ended.signal.aborted && setProblem(error.message));
    return () => ended.abort();
  }, [url, decode, end]);
  const source = useMemo(() => (body ? new TextDecoder(charset(kind)).decode(body.data) : ""), [body, kind]);
  const json = useMemo(() => parsed(kind, source), [kind, source]);
  if (problem) return <p class="problem" role="alert">{problem}</p>;
  if (!body) return <p class="empty">…</p>;
  const image = IMAGES.test(kind);
  const looks: TabSpec<Look>[] = [
    ...(image ? [{ name: "image" as const, label: "Image" }] : []),
    ...(json !== undefined ? [{ name: "pretty" as const, label: "JSON" }] : []),
    { name: "text", label: "Text" },
    { name: "hex", label: "Hex" },
  ];
  const usual: Look = image ? "image" : json !== undefined ? "pretty" : isBinary(body.data) ? "hex" : "text";
  const now = looks.some((one) => one.name === look) ? (look as Look) : usual;
  const more = () => setSteps(steps + 1);
  return (
    <div class="body">
      <div class="tools">
        <Tabs label="How to show the body" tabs={looks} chosen={now} choose={setLook} />
        {coded && (
          <label>
            <input type="checkbox" checked={decode} onChange={(event) => setDecode(event.currentTarget.checked)} /> decoded
          </label>
        )}
        <span class="grow">
          {body.decoded ? `${body.decoded} → ` : ""}
          {bytes(body.data.length)}
        </span>
        <a class="button" href={path(url, { decode })} download>
          Save body
        </a>
      </div>
      {body.stopped && <p class="remark">Decoding {body.stopped}.</p>}
      {now === "image" && <Image data={body.data} kind={kind} />}
      {now === "pretty" && <Json value={json} />}
      {now === "text" && (
        <>
          <pre tabIndex={0} aria-label="Body as text">{source.slice(0, steps * STEP.text)}</pre>
          <Cut shown={steps * STEP.text} all={source.length} more={more} />
        </>
      )}
      {now === "hex" && (
        <>
          <pre tabIndex={0} aria-label="Body in hexadecimal">{hex(body.data, 0, steps * STEP.hex)}</pre>
          <Cut shown={steps * STEP.hex} all={body.data.length} more={more} />
        </>
      )}
    </div>
  );
}
