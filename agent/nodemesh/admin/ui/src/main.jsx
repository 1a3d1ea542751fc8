// The page: a bar with what is shown, the picture beside the worst edges, a panel for what was clicked, news below.

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useFrames } from "./api.js";
import { health, percent, rate } from "./format.js";
import { Graph } from "./graph.jsx";
import { picture, worstFirst } from "./model.js";
import { Page } from "./pages.jsx";
import { Changes, Command, EdgePanel, NodePanel, Panel, Problems, Whom } from "./panel.jsx";

const WINDOWS = { 10: "10 s", 60: "1 min", 300: "5 min", 900: "15 min" };
const TABS = ["graph", "edges", "routes", "endpoints", "pods", "problems", "history"];
const WORST = 20;

/** So narrow a window begins with the list. */
const NARROW = 760;

function Bar({ frame, view, set, onTab }) {
  const search = useRef(null);
  useEffect(() => {
    const focus = (event) => {
      if (event.key === "/" && event.target.tagName !== "INPUT") {
        event.preventDefault();
        search.current.focus();
      }
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);
  return (
    <header>
      <h1>nodemesh</h1>
      {frame?.agents.length + frame?.silent.length > 1 && (
        <span class="nodes quiet" title={frame.agents.join("\n")}>
          {frame.silent.length ? `${frame.agents.length} of ${frame.agents.length + frame.silent.length}` : frame.agents.length} nodes
        </span>
      )}
      <nav>
        {TABS.map((tab) => (
          <button key={tab} type="button" data-tab={tab} class={view.tab === tab ? "on" : ""} onClick={() => onTab(tab)}>
            {tab}
            {tab === "problems" && frame?.problems.length > 0 && <b class="count">{frame.problems.length}</b>}
          </button>
        ))}
      </nav>
      {(view.tab === "graph" || view.tab === "edges") && <div class="choices">
        <select aria-label="namespace" value={view.namespace} onChange={(event) => set({ namespace: event.target.value, open: "" })}>
          <option value="">all namespaces</option>
          {frame?.namespaces.map((name) => <option key={name} value={name}>{name}</option>)}
        </select>
        <input ref={search} type="search" placeholder="search ( / )" aria-label="search services" value={view.search} onInput={(event) => set({ search: event.target.value })} />
        <label><input type="checkbox" checked={view.failing} onChange={(event) => set({ failing: event.target.checked })} /> only failing</label>
        <label><input type="checkbox" checked={view.idle} onChange={(event) => set({ idle: event.target.checked })} /> idle</label>
        <select aria-label="labels" value={view.label} onChange={(event) => set({ label: event.target.value })}>
          <option value="rate">rate</option>
          <option value="p99">p99</option>
        </select>
        <select aria-label="window" value={view.window} onChange={(event) => set({ window: Number(event.target.value) })}>
          {Object.entries(WINDOWS).map(([seconds, text]) => <option key={seconds} value={seconds}>{text}</option>)}
        </select>
        <button type="button" aria-label="pause" onClick={() => set({ paused: !view.paused })}>{view.paused ? "go on" : "pause"}</button>
        <label class="back">
          <input type="range" min="-900" max="0" step="15" aria-label="step back" value={-view.back} onInput={(event) => set({ back: -Number(event.target.value), paused: false })} />
          {view.back ? `${view.back >= 60 ? `${Math.round(view.back / 60)} min` : `${view.back} s`} ago` : "now"}
        </label>
      </div>}
    </header>
  );
}

function Edges({ edges, chosen, onChoose, limit }) {
  const rows = worstFirst(edges).slice(0, limit);
  return (
    <ol class="edges">
      {rows.map((edge) => (
        <li key={edge.id} class={`${health(edge.failing)} ${chosen.edge === edge.id ? "chosen" : ""}`}>
          <button type="button" onClick={() => onChoose({ edge: edge.id })}>
            <span class="ends">{edge.source.split("/").slice(1).join("/")}</span>
            <span class="ends">→ {edge.target.split("/").slice(1).join("/")}</span>
            <span class="figures">{rate(edge.rps)} {edge.protocol}{edge.errors ? `, ${percent(edge.failing)} fail` : ""}</span>
          </button>
        </li>
      ))}
    </ol>
  );
}

function Empty({ frame, view }) {
  const filtered = view.failing || view.search || view.namespace;
  return (
    <div class="empty">
      <h2>{view.failing ? "Nothing fails" : "No traffic was seen"} in this time</h2>
      {frame.missing.length > 0 && <ul>{frame.missing.map((each) => <li key={each}>{each}</li>)}</ul>}
      {!frame.missing.length && !filtered && <p>The pods of this node are in the mesh; none of them has called anything.</p>}
      {filtered && <p>Filters are set: namespace, search or “only failing”.</p>}
      <Command>nodemesh pods</Command>
    </div>
  );
}

function App() {
  const [view, setView] = useState({
    tab: innerWidth <= NARROW ? "edges" : "graph", whole: false, namespace: "", search: "", failing: false, idle: false, label: "rate", window: 60, back: 0,
    paused: false, open: "",
  });
  const [chosen, setChosen] = useState({});
  const set = (changes) => setView((before) => ({ ...before, ...changes }));
  const { frame, error } = useFrames(view.window, view.back, view.namespace, view.paused);
  const choose = (what) => {
    if (what.open !== undefined) set({ open: what.open });
    else setChosen(what);
  };
  useEffect(() => {
    const leave = (event) => event.key === "Escape" && (setChosen({}), set({ open: "" }));
    addEventListener("keydown", leave);
    return () => removeEventListener("keydown", leave);
  }, []);
  if (!frame) return <main class="waiting"><p>{error || "asking the agent …"}</p></main>;
  const drawn = picture(frame, view);
  const edge = [...drawn.edges, ...frame.edges].find((each) => each.id === chosen.edge);
  const node = frame.nodes.find((each) => each.id === chosen.node);
  const isGraph = view.tab === "graph" || view.tab === "edges";
  const nodes = frame.agents.length + frame.silent.length;
  return (
    <Whom.Provider value={nodes > 1 ? " --kubernetes" : ""}>
      <div class="app" data-tab={view.tab}>
        <Bar frame={frame} view={view} set={set} onTab={(tab) => set({ tab })} />
        {error && <p class="error banner">{error}</p>}
        {frame.silent.length > 0 && (
          <p class="warn banner silent">
            Not heard, so that calls of these nodes' pods are missing: {frame.silent.slice(0, 5).map((each) => `${each.node} (${each.why})`).join(", ")}
            {frame.silent.length > 5 && ` and ${frame.silent.length - 5} more`}
          </p>
        )}
        <main>
          {isGraph && (
            <div class="stage">
              <div class="picture">
                <button type="button" class="whole" aria-pressed={view.whole} onClick={() => set({ whole: !view.whole })}>{view.whole ? "readable" : "whole picture"}</button>
                {view.open && <button type="button" class="fold" onClick={() => set({ open: "" })}>fold {view.open}</button>}
                <p class="legend" aria-hidden="true">
                  <span class="warn">from 1 % failing</span> <span class="bad">from 10 %</span> <span class="kernel">past the proxy, by the kernel</span>
                </p>
                {drawn.edges.length || (view.idle && drawn.nodes.length) ? (
                  <Graph drawn={drawn} view={view} chosen={chosen} onChoose={choose} />
                ) : (
                  <Empty frame={frame} view={view} />
                )}
              </div>
              <div class={`list ${edge || node ? "behind" : ""}`}>
                <h3>{view.failing ? "Failing edges" : "Edges, worst first"}</h3>
                {drawn.edges.length > 0 ? (
                  <Edges edges={frame.edges.filter((each) => !view.failing || each.errors > 0)} chosen={chosen} onChoose={choose} limit={view.tab === "edges" ? 200 : WORST} />
                ) : (
                  view.tab === "edges" && <Empty frame={frame} view={view} />
                )}
                <Command>nodemesh top</Command>
              </div>
            </div>
          )}
          {!isGraph && <div class="tables"><Page name={view.tab} frame={frame} /></div>}
          {isGraph && edge && <Panel title={edge.id} onClose={() => setChosen({})}><EdgePanel edge={edge} frame={frame} /></Panel>}
          {isGraph && node && <Panel title={node.id} onClose={() => setChosen({})}><NodePanel node={node} frame={frame} onChoose={choose} /></Panel>}
        </main>
        {isGraph && (
          <footer>
            {frame.problems.length > 0 && (
              <section class="strip">
                <h3>Problems</h3>
                <Problems rows={frame.problems.slice(0, 5)} />
              </section>
            )}
            <section class="strip">
              <h3>Newest changes</h3>
              <Changes rows={frame.changes.slice(0, 4)} now={frame.as_of} />
            </section>
          </footer>
        )}
      </div>
    </Whom.Provider>
  );
}

render(<App />, document.getElementById("app"));
