// Numbers and times as people read them.

export function count(number: number): string {
  return number.toLocaleString("en-US");
}

export function bytes(number: number | null): string {
  if (number === null) return "";
  if (number < 1000) return `${number} B`;
  let value = number;
  for (const unit of ["KiB", "MiB", "GiB", "TiB"]) {
    value /= 1024;
    if (value < 1000) return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${unit}`;
  }
  return `${count(Math.round(value))} TiB`;
}

export function duration(milliseconds: number | null): string {
  if (milliseconds === null) return "";
  if (milliseconds < 1) return `${Math.round(milliseconds * 1000)} µs`;
  if (milliseconds < 1000) return `${milliseconds.toFixed(milliseconds < 10 ? 2 : milliseconds < 100 ? 1 : 0)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(2)} s`;
  return `${Math.floor(milliseconds / 60_000)} min ${Math.round((milliseconds % 60_000) / 1000)} s`;
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}

/** The time of day to the millisecond, in this browser's time zone. */
export function time(milliseconds: number): string {
  const at = new Date(milliseconds);
  const millis = String(at.getMilliseconds()).padStart(3, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${millis}`;
}

/** Date and time to the microsecond. */
export function instant(milliseconds: number): string {
  const at = new Date(milliseconds);
  const micros = String(Math.floor((milliseconds % 1) * 1000)).padStart(3, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${time(milliseconds)}${micros}`;
}

/** Bytes that came as code points, read as UTF-8 where they are. */
export function text(wire: string): string {
  if (!/[\u0080-\u00ff]/.test(wire) || /[^\u0000-\u00ff]/.test(wire)) return wire;
  const raw = Uint8Array.from(wire, (char) => char.charCodeAt(0));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(raw);
  } catch {
    return wire;
  }
}

export function fromBase64(encoded: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
}

/** Lines of 16 bytes: offset, hexadecimal, text. */
export function hex(data: Uint8Array, from: number, to: number): string {
  const lines: string[] = [];
  for (let at = from; at < Math.min(to, data.length); at += 16) {
    const line = data.subarray(at, Math.min(at + 16, data.length));
    const cells = Array.from(line, (byte) => byte.toString(16).padStart(2, "0"));
    const left = cells.slice(0, 8).join(" ").padEnd(23);
    const right = cells.slice(8).join(" ").padEnd(23);
    const chars = Array.from(line, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${left}  ${right}  ${chars}`);
  }
  return lines.join("\n");
}

/** A class for a status: how it is coloured. */
export function statusClass(status: number | null): string {
  return status === null ? "none" : `s${Math.floor(status / 100)}`;
}
