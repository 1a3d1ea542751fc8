// Where nodes stand and how edges run: dagre's layers from left to right.

import { graphlib, layout as dagre } from "@dagrejs/dagre";

const WIDTH = 168;
const HEAD = 44;
const ROW = 20;

export function sizeOf(node) {
  return { width: WIDTH, height: HEAD + ROW * Math.min(node.rows?.length ?? 0, 6) };
}

/** The shape of a picture, by which its layout is kept while only numbers change. */
export function shapeOf(drawn) {
  const nodes = drawn.nodes.map((node) => `${node.id}:${node.rows.length}`).sort();
  return `${nodes.join()}|${drawn.edges.map((edge) => edge.id).sort().join()}|${drawn.labelled.size}`;
}

/** From one column to another straight, within one in a bracket beside it, so that no line runs behind a box. */
function between(from, to) {
  if (Math.abs(from.x - to.x) < from.width / 2) {
    const side = Math.min(from.x, to.x) < from.width ? -1 : 1;
    const first = { x: from.x + (side * from.width) / 2, y: from.y };
    const last = { x: to.x + (side * to.width) / 2, y: to.y };
    const x = side < 0 ? Math.min(first.x, last.x) - 30 : Math.max(first.x, last.x) + 30;
    return { points: [first, { x, y: first.y }, { x, y: last.y }, last], x, y: (first.y + last.y) / 2 };
  }
  const side = to.x >= from.x ? 1 : -1;
  const first = { x: from.x + (side * from.width) / 2, y: from.y };
  const last = { x: to.x - (side * to.width) / 2, y: to.y };
  const middle = { x: (first.x + last.x) / 2, y: (first.y + last.y) / 2 - side * 18 };
  return { points: [first, middle, last], x: middle.x, y: middle.y };
}

/** Namespaces call each other every which way: they stand in columns, those that call most to the left. */
function columns(drawn) {
  const flow = new Map(drawn.nodes.map((node) => [node.id, 0]));
  for (const edge of drawn.edges) {
    flow.set(edge.source, flow.get(edge.source) + edge.rps);
    flow.set(edge.target, flow.get(edge.target) - edge.rps);
  }
  const ordered = [...drawn.nodes].sort((one, other) => flow.get(other.id) - flow.get(one.id) || (one.id < other.id ? -1 : 1));
  const rows = Math.max(1, Math.ceil(Math.sqrt(ordered.length * 1.1)));
  const nodes = new Map();
  ordered.forEach((node, index) => {
    const column = Math.floor(index / rows);
    const { width, height } = sizeOf(node);
    nodes.set(node.id, { x: 140 + column * 250 + (index % 2) * 18, y: 50 + (index % rows) * 104 + (column % 2) * 26, width, height });
  });
  const edges = new Map(
    drawn.edges.map((edge) => {
      const from = nodes.get(edge.source);
      const to = nodes.get(edge.target);
      return [edge.id, between(from, to)];
    }),
  );
  const width = Math.max(...[...nodes.values()].map((place) => place.x + place.width / 2)) + 20;
  const height = Math.max(...[...nodes.values()].map((place) => place.y + place.height / 2)) + 20;
  return { width, height, nodes, edges };
}

export function layout(drawn) {
  if (drawn.folded && !drawn.open) return columns(drawn);
  const graph = new graphlib.Graph({ multigraph: true });
  const many = drawn.nodes.length > 30;
  graph.setGraph({ rankdir: "LR", nodesep: many ? 12 : 26, ranksep: many ? 44 : 30, edgesep: many ? 6 : 14, marginx: 12, marginy: 12 });
  for (const node of drawn.nodes) {
    graph.setNode(node.id, sizeOf(node));
  }
  for (const edge of drawn.edges) {
    const label = drawn.labelled.has(edge) ? { width: 76, height: 32, labelpos: "c" } : {};
    graph.setEdge(edge.source, edge.target, label, edge.id);
  }
  dagre(graph);
  const { width, height } = graph.graph();
  return {
    width: Number.isFinite(width) ? width : 100,
    height: Number.isFinite(height) ? height : 100,
    nodes: new Map(drawn.nodes.map((node) => [node.id, graph.node(node.id)])),
    edges: new Map(drawn.edges.map((edge) => [edge.id, graph.edge(edge.source, edge.target, edge.id)])),
  };
}

/** A smooth line through the points. */
export function curve(points) {
  if (points.length < 3) return `M${points.map(({ x, y }) => `${x},${y}`).join("L")}`;
  let path = `M${points[0].x},${points[0].y}`;
  for (let index = 1; index < points.length - 1; index += 1) {
    const next = points[index + 1];
    const last = index === points.length - 2;
    const x = last ? next.x : (points[index].x + next.x) / 2;
    const y = last ? next.y : (points[index].y + next.y) / 2;
    path += `Q${points[index].x},${points[index].y} ${x},${y}`;
  }
  return path;
}
