// How long which part of an exchange took.

import type { Detail } from "../api";
import { duration, instant } from "../format";

export function Timing({ data }: { data: Detail }) {
  const { request, response } = data;
  const points = [request?.begin_ms, request?.end_ms, response?.begin_ms, response?.end_ms];
  const begin = points.find((point) => point !== undefined) ?? 0;
  const end = points.findLast((point) => point !== undefined) ?? begin;
  const parts: [string, string, number | undefined, number | undefined][] = [
    ["request", "Request", request?.begin_ms, request?.end_ms],
    ["wait", "Waiting for the response", request?.end_ms, response?.begin_ms],
    ["response", "Response", response?.begin_ms, response?.end_ms],
  ];
  const whole = Math.max(end - begin, 1e-6);
  return (
    <div class="timing">
      {parts.map(([name, label, from, to]) => {
        if (from === undefined || to === undefined) return null;
        // A response may begin before its request ends.
        const share = (100 * Math.max(0, to - from)) / whole;
        const left = Math.min(100, (100 * (Math.min(from, to) - begin)) / whole);
        return (
          <div class="phase" key={name}>
            <span>{label}</span>
            <div class="track">
              <i class={name} style={{ left: `${left}%`, width: `${Math.max(0.4, Math.min(share, 100 - left))}%` }} />
            </div>
            <b>{duration(Math.max(0, to - from))}</b>
          </div>
        );
      })}
      <dl class="facts">
        {request && <div><dt>first byte of the request</dt><dd>{instant(request.begin_ms)}</dd></div>}
        {request && <div><dt>last byte of the request</dt><dd>{instant(request.end_ms)}</dd></div>}
        {response && <div><dt>first byte of the response</dt><dd>{instant(response.begin_ms)}</dd></div>}
        {response && <div><dt>last byte of the response</dt><dd>{instant(response.end_ms)}</dd></div>}
        <div><dt>exchange in its connection</dt><dd>{data.number}</dd></div>
      </dl>
    </div>
  );
}
