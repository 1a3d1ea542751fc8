// The picture itself: boxes and arrows as SVG, moved and zoomed by hand.

import { select } from "d3-selection";
import { zoom, zoomIdentity } from "d3-zoom";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { differs, health, milliseconds, percent, rate, short } from "./format.js";
import { curve, layout, shapeOf, sizeOf } from "./layout.js";
import { worstFirst } from "./model.js";

const MODES = { kernel: "kernel", pass: "pass" };

/** The kernel balances it where no port of the service goes through the proxy. */
export function isKernel(node) {
  return node?.modes?.length > 0 && node.modes.every((port) => port.mode in MODES);
}

function label(edge, what) {
  if (what === "p99") return `p99 ${milliseconds(edge.p99_ms)}`;
  return edge.protocol === "tcp" ? `${rate(edge.rps)} tcp` : rate(edge.rps);
}

function Edge({ edge, place, chosen, kernel, onChoose }) {
  if (!place?.points) return null;
  const state = edge.requests ? health(edge.failing) : "idle";
  const width = 1.2 + Math.min(4.5, Math.log10(1 + edge.rps) * 1.6);
  const path = curve(place.points);
  const title = `${edge.source} to ${edge.target}: ${rate(edge.rps)}, ${percent(edge.failing)} fail`;
  return (
    <g class={`edge ${state} ${chosen ? "chosen" : ""}`} onClick={() => onChoose({ edge: edge.id })} data-edge={edge.id}>
      <title>{title}</title>
      <path class="hit" d={path} />
      <path class="line" d={path} style={{ strokeWidth: width }} stroke-dasharray={kernel ? "6 4" : null} marker-end={`url(#arrow-${state})`} />
    </g>
  );
}

/** Above the boxes, which it may be close to. */
function Label({ edge, place, what }) {
  if (place?.x === undefined) return null;
  return (
    <g class={`edge ${health(edge.failing)}`} transform={`translate(${place.x},${place.y})`} pointer-events="none">
      <text class="edge-label" dy="-9">{label(edge, what)}</text>
      {edge.errors > 0 && (
        <text class="edge-label failing" dy="17">
          {edge.parts?.length > 1 ? `${edge.bad} of ${edge.parts.length} fail` : `${percent(edge.failing)} fail`}
        </text>
      )}
    </g>
  );
}

function Row({ row, index, width }) {
  const state = health(row.requests ? row.errors / row.requests : 0);
  const wished = differs(row.share, row.wished, row.requests) ? ` (${percent(row.wished)})` : "";
  const share = row.mirror ? `mirror ${percent(row.share)}` : percent(row.share) + wished;
  return (
    <g transform={`translate(0,${42 + index * 20})`}>
      <rect class="bar-back" x="8" width={width - 16} height="17" rx="3" />
      <rect class={`bar ${row.mirror ? "mirror" : state}`} x="8" width={Math.max(1, (width - 16) * Math.min(1, row.share))} height="17" rx="3" />
      <text class="version" x="14" y="12.5">{short(row.version, 11)}</text>
      <text class="version share" x={width - 14} y="12.5">{share}</text>
    </g>
  );
}

const KINDS = { workload: "client", gateway: "gateway", external: "external", namespace: "namespace" };

function Node({ node, place, chosen, spaced, onChoose }) {
  const { width, height } = sizeOf(node);
  const ends = node.endpoints;
  const down = ends && ends.total > 0 && ends.ready - ends.ejected <= 0;
  let note = KINDS[node.kind] ?? "";
  if (node.kind === "namespace") note = `namespace, ${node.members} inside`;
  else if (ends) note = `${ends.ready - ends.ejected}/${ends.total} ready${ends.ejected ? `, ${ends.ejected} ejected` : ""}`;
  if (spaced && node.namespace) note = `${node.namespace}, ${note}`;
  return (
    <g
      class={`node ${node.kind} ${chosen ? "chosen" : ""} ${down ? "down" : ""}`}
      transform={`translate(${place.x - width / 2},${place.y - height / 2})`}
      onClick={() => onChoose(node.kind === "namespace" ? { open: node.name } : { node: node.id })}
      data-node={node.id}
    >
      <title>{node.namespace ? `${node.namespace}/${node.name}` : node.name}</title>
      <rect class="shape" width={width} height={height} rx={node.kind === "workload" ? 20 : 7} />
      <text class="name" x="12" y="18">{short(node.name, 20)}</text>
      <text class="note" x="12" y="33">{short(note, 26)}</text>
      {node.problems > 0 && <circle class="problem" cx={width - 13} cy="14" r="5" />}
      {node.rows.slice(0, 6).map((row, index) => (
        <Row key={row.version} row={row} index={index} width={width} />
      ))}
    </g>
  );
}

/** From this scale on no text is under 11 pixels: better to move a big picture than to guess. */
const READABLE = 0.92;

/** Where a picture begins in its window: in the middle, or, where it is bigger, so that what matters most is seen. */
function start(room, size, focus) {
  if (size + 24 <= room) return (room - size) / 2;
  return Math.min(12, Math.max(room - size - 12, room / 2 - (focus ?? 0)));
}

export function Graph({ drawn, view, chosen, onChoose }) {
  const svg = useRef(null);
  const world = useRef(null);
  const shape = shapeOf(drawn);
  const places = useMemo(() => layout(drawn), [shape]);
  const byId = new Map(drawn.nodes.map((node) => [node.id, node]));

  useEffect(() => {
    const behaviour = zoom()
      .scaleExtent([0.08, 3])
      .on("zoom", (event) => world.current.setAttribute("transform", event.transform));
    const surface = select(svg.current).call(behaviour).on("dblclick.zoom", null);
    const fit = () => {
      if (!svg.current) return; // it is gone by the time its size is told
      const { clientWidth, clientHeight } = svg.current;
      if (!clientWidth || !places.width) return;
      const scale = Math.min(1.15, clientWidth / (places.width + 24), clientHeight / (places.height + 24));
      const readable = view.whole ? scale : Math.max(scale, READABLE);
      const worst = worstFirst(drawn.edges)[0];
      const ends = worst ? [places.nodes.get(worst.source), places.nodes.get(worst.target)] : [];
      const middle = (axis) => worst && ((ends[0][axis] + ends[1][axis]) / 2) * readable;
      const x = start(clientWidth, places.width * readable, middle("x"));
      const y = start(clientHeight, places.height * readable, middle("y"));
      surface.call(behaviour.transform, zoomIdentity.translate(x, y).scale(readable));
    };
    fit();
    const watch = new ResizeObserver(fit);
    watch.observe(svg.current);
    return () => watch.disconnect();
  }, [shape, view.whole]);

  return (
    <svg class={`canvas ${drawn.folded && !drawn.open ? "dense" : ""}`} ref={svg} role="img" aria-label="Calls between services">
      <defs>
        {["good", "warn", "bad", "idle"].map((state) => (
          <marker key={state} id={`arrow-${state}`} class={`arrow ${state}`} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">
            <path d="M0,0 L8,4 L0,8 z" />
          </marker>
        ))}
      </defs>
      <g ref={world}>
        {drawn.edges.map((edge) => (
          <Edge
            key={edge.id}
            edge={edge}
            place={places.edges.get(edge.id)}
            chosen={edge.id === chosen.edge || edge.parts?.some((part) => part.id === chosen.edge)}
            kernel={edge.protocol === "tcp" && isKernel(byId.get(edge.target))}
            onChoose={onChoose}
          />
        ))}
        {drawn.nodes.map((node) => {
          const place = places.nodes.get(node.id);
          return place && <Node key={node.id} node={node} place={place} chosen={chosen.node === node.id} spaced={!drawn.detailed} onChoose={onChoose} />;
        })}
        {[...drawn.labelled].map((edge) => (
          <Label key={edge.id} edge={edge} place={places.edges.get(edge.id)} what={view.label} />
        ))}
      </g>
    </svg>
  );
}
