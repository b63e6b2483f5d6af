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

export function useVirtual(count: number, size: number): Virtual {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const scroller = useRef<HTMLDivElement>(null);
  const kept = useRef<Lists | undefined>(undefined);
  const options = {
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => size,
    overscan: 12,
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
