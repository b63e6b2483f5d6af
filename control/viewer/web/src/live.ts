// Follows the server: a page of the list, then what changes.

import { signal } from "@preact/signals";
import { type ExchangePage, get, path, Problem, type Row, type State, type Timeline } from "./api";
import * as model from "./model";

const PAGE = 500;
const RETRY = 2000;

let source: EventSource | null = null;
let turn = 0;
let retry: ReturnType<typeof setTimeout> | undefined;

/** Whether a search is under way. */
export const searching = signal(false);

/** Begins anew with a filter. A filter that is wrong changes nothing but says so. */
export async function follow(filter: string): Promise<void> {
  const mine = ++turn;
  clearTimeout(retry);
  searching.value = true;
  try {
    const page = await search(filter, undefined, () => mine !== turn);
    if (!page || mine !== turn) return;
    model.filter.value = filter;
    model.mistake.value = null;
    model.replace(page.rows, page.next);
    listen(filter, page.cursor, mine);
  } catch (error) {
    if (mine === turn) failed(error, filter);
  } finally {
    if (mine === turn) searching.value = false;
  }
}

/** A page with at least one row, if there is one, however long the search takes. */
async function search(filter: string, before: number | undefined, stale: () => boolean): Promise<ExchangePage | null> {
  let page = await get<ExchangePage>("/api/exchanges", { filter, before, limit: PAGE });
  const { cursor } = page;
  while (page.unfinished && page.rows.length === 0 && page.next !== null) {
    if (stale()) return null;
    page = await get<ExchangePage>("/api/exchanges", { filter, before: page.next, limit: PAGE });
  }
  return { ...page, cursor };
}

function failed(error: unknown, filter: string): void {
  if (error instanceof Problem && error.mistake) {
    model.mistake.value = error.mistake;
    return;
  }
  if (error instanceof Problem && error.status === 401) {
    stop();
    model.connection.value = "login";
    return;
  }
  model.connection.value = "lost";
  const mine = turn;
  retry = setTimeout(() => {
    if (mine === turn) void start(filter);
  }, RETRY);
}

function stop(): void {
  source?.close();
  source = null;
}

function listen(filter: string, cursor: number, mine: number): void {
  stop();
  const opened = new EventSource(path("/api/live", { filter, cursor }));
  source = opened;
  opened.addEventListener("state", (event) => {
    model.connection.value = "live";
    state(JSON.parse(event.data) as State);
  });
  opened.addEventListener("rows", (event) => {
    const { rows, gone } = JSON.parse(event.data) as { rows: Row[]; gone: number[] };
    model.receive(rows, gone);
  });
  opened.addEventListener("resync", () => {
    if (mine === turn) void follow(filter);
  });
  opened.onerror = () => {
    // Not to be confused with a stream of before.
    if (source !== opened) return;
    stop();
    failed(null, filter);
  };
}

function state(now: State): void {
  const before = model.state.value;
  model.state.value = now;
  model.evict(now.store.oldest);
  if (!before || now.second > before.second) {
    const sample = { at: Math.floor(Date.now() / 1000) - 1, sample: now.last_second };
    model.samples.value = [...model.samples.value, sample].slice(-model.SECONDS);
  }
}

/** Begins from nothing: the state, the timeline, the list. */
export async function start(filter: string): Promise<void> {
  try {
    const [now, timeline] = await Promise.all([get<State>("/api/state"), get<Timeline>("/api/timeline")]);
    const base = Math.floor(Date.now() / 1000) - timeline.second + timeline.begin;
    model.samples.value = timeline.samples.map((sample, n) => ({ at: base + n, sample }));
    model.state.value = now;
    await follow(filter);
  } catch (error) {
    failed(error, filter);
  }
}

/** Asks for older rows, once at a time. */
export async function older(): Promise<void> {
  if (model.rows.loading || model.rows.next === null) return;
  model.rows.loading = true;
  const mine = turn;
  try {
    const page = await search(model.filter.value, model.rows.next, () => mine !== turn);
    if (page && mine === turn) model.extend(page.rows, page.next);
  } catch {
    // The next scrolling asks again; the live stream tells of a lost connection.
  } finally {
    model.rows.loading = false;
  }
}
