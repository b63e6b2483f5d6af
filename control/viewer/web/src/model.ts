// What the page knows. Views read these signals; live.ts and the user change them.

import { computed, signal } from "@preact/signals";
import type { Mistake, Row, Sample, State } from "./api";

export type View = "exchanges" | "flows";
export type Selection = { kind: "exchange" | "flow"; id: number } | null;
export type Connection = "connecting" | "live" | "lost" | "login";

/** The most rows kept here. */
export const MOST_ROWS = 100_000;
/** The seconds the timeline shows. */
export const SECONDS = 300;

export const view = signal<View>("exchanges");
export const selection = signal<Selection>(null);
export const connection = signal<Connection>("connecting");
export const paused = signal(false);
export const reveal = signal(false);
export const helping = signal(false);
/** The filter in force, and what is wrong with the one in the box. */
export const filter = signal("");
export const mistake = signal<Mistake | null>(null);
export const flowSearch = signal("");
export const state = signal<State | null>(null);
export const samples = signal<{ at: number; sample: Sample }[]>([]);
/** One more with each change of the exchange that is open. */
export const touched = signal(0);
/** A word for those who hear the page. */
export const announcement = signal("");

/** Rows by id, in order; the signal says when they changed. */
export const rows = {
  list: [] as Row[],
  /** What came while paused. */
  waiting: new Map<number, Row | null>(),
  /** Where older ones begin; null: there are none. */
  next: null as number | null,
  loading: false,
  /** Rows that were put in front of the list since the last drawing. */
  added: 0,
};
export const version = signal(0);
export const waitingCount = signal(0);

export const lost = computed(() => state.value?.lost.total ?? 0);

function find(id: number): number {
  let low = 0;
  let high = rows.list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows.list[middle] as Row).id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function changed(): void {
  version.value += 1;
}

function put(row: Row): void {
  const at = find(row.id);
  if (rows.list[at]?.id === row.id) rows.list[at] = row;
  else if (at === rows.list.length) {
    rows.list.push(row);
    rows.added += 1;
  } else if (rows.next === null || row.id >= rows.next) rows.list.splice(at, 0, row);
}

function drop(id: number): void {
  const at = find(id);
  if (rows.list[at]?.id === id) rows.list.splice(at, 1);
}

/** Takes in live changes, or puts them aside while paused. */
export function receive(fresh: Row[], gone: number[]): void {
  const selected = selection.value;
  if (selected?.kind === "exchange" && fresh.some((row) => row.id === selected.id)) touched.value += 1;
  if (paused.value) {
    for (const row of fresh) rows.waiting.set(row.id, row);
    for (const id of gone) rows.waiting.set(id, null);
    let excess = rows.waiting.size - MOST_ROWS;
    for (const id of rows.waiting.keys()) {
      if (excess-- <= 0) break;
      rows.waiting.delete(id);
    }
    let shown = 0;
    for (const row of rows.waiting.values()) if (row) shown += 1;
    waitingCount.value = shown;
    return;
  }
  for (const row of fresh) put(row);
  for (const id of gone) drop(id);
  bound();
  changed();
}

function bound(): void {
  const excess = rows.list.length - MOST_ROWS;
  if (excess > 0) {
    rows.list.splice(0, excess);
    rows.next = rows.list[0]?.id ?? null;
  }
}

export function resume(): void {
  paused.value = false;
  const waiting = rows.waiting;
  rows.waiting = new Map();
  waitingCount.value = 0;
  const fresh: Row[] = [];
  const gone: number[] = [];
  for (const [id, row] of waiting) {
    if (row) fresh.push(row);
    else gone.push(id);
  }
  receive(fresh.sort((one, other) => one.id - other.id), gone);
}

/** Forgets what the server no longer keeps. */
export function evict(oldest: number | null): void {
  if (paused.value) return;
  const at = oldest === null ? rows.list.length : find(oldest);
  if (at > 0) {
    rows.list.splice(0, at);
    changed();
  }
}

/** A new list; newest first, as the server sends it. */
export function replace(list: Row[], next: number | null): void {
  rows.list = list.reverse();
  rows.next = next;
  rows.waiting.clear();
  waitingCount.value = 0;
  rows.added = 0;
  changed();
}

/** Older rows, newest first. */
export function extend(list: Row[], next: number | null): void {
  const first = rows.list[0]?.id ?? Infinity;
  rows.list = list.reverse().filter((row) => row.id < first).concat(rows.list);
  rows.next = rows.list.length >= MOST_ROWS ? null : next;
  changed();
}

/** The row `steps` below the selected one in the list, which shows the newest first. */
export function step(steps: number): void {
  const list = rows.list;
  if (list.length === 0) return;
  const selected = selection.value;
  let at = list.length - 1;
  if (selected?.kind === "exchange") {
    at = Math.max(0, Math.min(list.length - 1, find(selected.id) - steps));
  }
  select("exchange", (list[at] as Row).id);
}

export function select(kind: "exchange" | "flow", id: number): void {
  const now = selection.value;
  if (now?.kind !== kind || now.id !== id) selection.value = { kind, id };
}
