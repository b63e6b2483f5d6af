// Lists of any length, of which only what is in view is drawn.

import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  type VirtualItem,
  Virtualizer,
} from "@tanstack/virtual-core";
import { useLayoutEffect, useReducer, useRef } from "preact/hooks";

type Lists = Virtualizer<HTMLDivElement, HTMLDivElement>;

export interface Virtual {
  scroller: { current: HTMLDivElement | null };
  items: VirtualItem[];
  height: number;
  list: Lists;
}

/** How high the head of a list is, which stays in view, in pixels. */
const HEAD = 26;

export function useVirtual(count: number, size: number): Virtual {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const scroller = useRef<HTMLDivElement>(null);
  const kept = useRef<Lists | undefined>(undefined);
  const options = {
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => size,
    overscan: 12,
    // The head is in front of the first row, so that rows are that much further down.
    scrollPaddingEnd: HEAD,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => redraw(0),
  };
  const list = (kept.current ??= new Virtualizer<HTMLDivElement, HTMLDivElement>(options));
  list.setOptions(options);
  useLayoutEffect(() => list._didMount(), []);
  useLayoutEffect(() => list._willUpdate());
  return { scroller, items: list.getVirtualItems(), height: list.getTotalSize(), list };
}
