// The API of the server: its types, and how it is asked.

export interface Row {
  id: number;
  flow: number;
  number: number;
  begin_ms: number;
  method: string;
  host: string;
  path: string;
  status: number | null;
  request_size: number | null;
  response_size: number | null;
  duration_ms: number | null;
  kind: string | null;
  service: string;
  client: string;
  server: string;
  waiting: boolean;
  incomplete: boolean;
  missing: number;
}

export type Header = [name: string, value: string, masked: boolean];

export interface Message {
  version: string;
  method: string | null;
  target: string | null;
  status: number | null;
  reason: string | null;
  headers: Header[];
  trailers: Header[];
  framing: string;
  head_length: number;
  body_length: number;
  payload_length: number;
  body_left_out: number;
  body_missing: number;
  holes: [position: number, length: number][];
  complete: boolean;
  resync: boolean;
  upgrade: boolean;
  begin_ms: number;
  end_ms: number;
  offset: number;
  seq: number;
}

export interface Detail extends Row {
  url: string;
  action: string;
  request: Message | null;
  response: Message | null;
  interim: Message[];
}

export interface Sent {
  packets: number;
  bytes: number;
  retransmitted: number;
  out_of_order: number;
  gaps: number;
  missing: number;
  zero_windows: number;
  rtt_min: number | null;
  rtt_mean: number | null;
  rtt_max: number | null;
}

export type Pair = [client: number, server: number];

export interface Flow {
  id: number;
  run: string;
  name: string;
  worker: number;
  service: string;
  action: string;
  ingress: string;
  vlan: number;
  client: string;
  server: string;
  first_ms: number;
  last_ms: number;
  midstream: boolean | null;
  exchanges: number;
  bytes: Pair;
  gaps: Pair;
  missing: Pair;
  evicted: Pair;
  pieces: number;
  close: {
    reason: string;
    duration: number;
    handshake_rtt: number | null;
    state: { client: string; server: string };
    sent: { client: Sent; server: Sent };
  } | null;
}

export interface Piece {
  n: number;
  direction: "client" | "server";
  offset: number;
  length: number;
  time_ms: number;
  gap: string | null;
  data: string;
}

export interface Stream {
  flow: Flow;
  first: number;
  pieces: Piece[];
  next: number;
  more: boolean;
}

export interface Sample {
  events: number;
  exchanges: number;
  bytes: number;
  errors: number;
}

export interface WorkerLoss {
  run: string;
  worker: number;
  received: number;
  missing: number;
  dropped_before: number;
  dropped: number;
  lost: number;
}

export interface State {
  version: string;
  endpoints: string[];
  second: number;
  received: Record<string, number>;
  refused: Record<string, number>;
  exchanges: number;
  gaps: number;
  missing_bytes: number;
  last_second: Sample;
  store: {
    events: number;
    most_events: number;
    bytes: number;
    most_bytes: number;
    flows: number;
    exchanges: number;
    oldest: number | null;
    evicted: number;
    evicted_bytes: number;
  };
  lost: { total: number; earlier: number; workers: WorkerLoss[] };
  clients: number;
  decode_limit: number;
  decode_limit_hits: number;
}

export interface ExchangePage {
  rows: Row[];
  next: number | null;
  unfinished: boolean;
  cursor: number;
}

export interface FlowPage {
  rows: Flow[];
  next: number | null;
}

export interface Timeline {
  begin: number;
  second: number;
  samples: Sample[];
}

export interface Mistake {
  message: string;
  position: number;
  length: number;
}

/** An answer that is none. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly mistake: Mistake | null = null,
  ) {
    super(message);
  }
}

export type Query = Record<string, string | number | boolean | undefined>;

export function path(base: string, query: Query = {}): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === "" || value === false) continue;
    words.set(name, value === true ? "1" : String(value));
  }
  const text = words.toString();
  return text ? `${base}?${text}` : base;
}

export async function ask(base: string, query: Query = {}, signal?: AbortSignal): Promise<Response> {
  const answer = await fetch(path(base, query), { signal: signal ?? null, credentials: "same-origin" });
  if (answer.ok) return answer;
  const text = await answer.text();
  try {
    const { error, mistake } = JSON.parse(text);
    throw new Problem(answer.status, error, mistake ?? null);
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(answer.status, text || answer.statusText);
  }
}

export async function get<T>(base: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return (await ask(base, query, signal)).json() as Promise<T>;
}

export async function login(token: string): Promise<void> {
  const answer = await fetch("/api/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  });
  if (!answer.ok) throw new Problem(answer.status, "This is not the token.");
}
