// A request or a response: its first line, its headers, what is remarkable about it, its body.

import type { Header, Message } from "../api";
import { bytes, count, text } from "../format";
import { BodyView } from "./Body";

function Headers({ title, headers }: { title: string; headers: Header[] }) {
  return (
    <table class="headers" aria-label={title}>
      <tbody>
        {headers.map(([name, value, masked], n) => (
          <tr key={n} class={masked ? "masked" : ""}>
            <th scope="row">{text(name)}</th>
            <td>{text(value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** What someone who trusts this message ought to know. */
function remarks(message: Message): string[] {
  const all: string[] = [];
  if (!message.complete) all.push("It broke off: the connection ended, or was no longer HTTP, before its end.");
  if (message.body_missing > 0) {
    const where = message.holes.map(([at, length]) => `${count(length)} at ${count(at)}`).join(", ");
    all.push(`${count(message.body_missing)} bytes of the body were never seen (${where}).`);
  }
  if (message.body_left_out > 0) all.push(`${count(message.body_left_out)} bytes at the body's end were left out by a limit of Millrace.`);
  if (message.resync) all.push("First message behind bytes that were no HTTP: it may belong to another exchange.");
  if (message.upgrade) all.push("Behind it the connection is no longer HTTP.");
  return all;
}

function StartLine({ message }: { message: Message }) {
  const version = `HTTP/${message.version}`;
  return (
    <p class="start-line">
      {message.status === null
        ? `${text(message.method ?? "")} ${text(message.target ?? "")} ${version}`
        : `${version} ${message.status} ${text(message.reason ?? "")}`}
    </p>
  );
}

interface Props {
  id: number;
  side: "request" | "response";
  message: Message | null;
  interim?: Message[];
}

export function MessageView({ id, side, message, interim = [] }: Props) {
  const kind = message?.headers.find(([name]) => name.toLowerCase() === "content-type")?.[1] ?? "";
  const coding = message?.headers.find(([name]) => name.toLowerCase() === "content-encoding")?.[1] ?? "";
  return (
    <>
      {interim.map((early, n) => (
        <div class="interim" key={n}>
          <StartLine message={early} />
          <Headers title="Headers of an interim response" headers={early.headers} />
        </div>
      ))}
      {!message && <p class="empty">{side === "request" ? "The request was not seen, or is no longer kept." : "No response so far."}</p>}
      {message && (
        <>
          <StartLine message={message} />
          {remarks(message).map((remark) => <p class="remark" key={remark}>{remark}</p>)}
          <Headers title="Headers" headers={message.headers} />
          {message.trailers.length > 0 && (
            <>
              <h3>Trailers</h3>
              <Headers title="Trailers" headers={message.trailers} />
            </>
          )}
          <h3>
            Body <small>{bytes(message.body_length)}{message.framing !== "none" && `, ${message.framing}`}{coding && `, ${coding}`}</small>
          </h3>
          {message.payload_length > 0 ? (
            <BodyView id={id} side={side} kind={kind} coded={coding !== ""} end={message.end_ms} />
          ) : (
            <p class="empty">{message.body_length > 0 ? "Nothing of it was kept." : "None."}</p>
          )}
        </>
      )}
    </>
  );
}
