// What is known of the service, client or edge that was clicked, each part with the command that says the same.

import { createContext } from "preact";
import { useContext, useEffect, useRef, useState } from "preact/hooks";
import { ask, EVERYWHERE, useAnswer } from "./api.js";
import { ago, brief, bytes, clock, differs, duration, health, milliseconds, percent, rate } from "./format.js";

/** Of which agents commands are to ask: of a mesh of several nodes those of the cluster. */
export const Whom = createContext("");

export function Command({ children, whom = "" }) {
  return <code class="command" title="the same on the command line">{children}{useContext(Whom) || whom}</code>;
}

/** The last values of a number, one each second, as a line. */
function Sparkline({ value, name }) {
  const kept = useRef([]);
  kept.current = [...kept.current.slice(-59), value];
  if (kept.current.length < 2) return <p class="quiet">the last minute, from now on …</p>;
  const top = Math.max(...kept.current, 0.001);
  const points = kept.current.map((each, index) => `${index * 3},${24 - (each / top) * 22}`).join(" ");
  return (
    <svg class="sparkline" viewBox="0 0 180 26" role="img" aria-label={`${name} over the last minute`}>
      <polyline points={points} />
    </svg>
  );
}

function Codes({ codes, requests }) {
  return (
    <table>
      <tbody>
        {codes.map((row) => (
          <tr key={row.code + row.flags} class={/^[05]|grpc/.test(row.code) || row.flags !== "-" ? "failing" : ""}>
            <td>{row.code === "0" ? "no answer" : row.code || "tcp"}</td>
            <td>{row.flags === "-" ? "" : row.flags}</td>
            <td class="number">{row.requests.toLocaleString("en")}</td>
            <td class="number">{percent(row.requests / requests)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Decisions({ clients, host, as_of }) {
  const { rows, error } = useAnswer("decisions", { client: clients, host, ...EVERYWHERE }, Math.floor(as_of / 3));
  if (error) return <p class="error">{error}</p>;
  if (!rows?.length) return <p class="quiet">none lately</p>;
  return (
    <table class="decisions">
      <tbody>
        {rows.slice(0, 10).map((row) => (
          <tr key={`${row.started}${row.request_id}`} class={row.failed ? "failing" : ""}>
            <td>{clock(row.started)}</td>
            <td class="wide" title={row.rule}>{row.method ? `${row.method} ${row.path}` : row.protocol}</td>
            <td>{row.status || "–"}</td>
            <td>{row.flags === "-" ? "" : row.flags}</td>
            <td class="number">{milliseconds(row.duration_ms)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The newest failure of an edge, asked of the matcher again: every rule that was tried. */
function LastFailure({ clients, host }) {
  const [found, setFound] = useState(null);
  const explain = async () => {
    try {
      const [last] = await ask("decisions", { client: clients, host, failed: 1, ...EVERYWHERE });
      if (!last) return setFound({ error: "none of the last failures was this edge's" });
      const url = `http://${last.authority || host}${last.path || "/"}`;
      const answer = await ask("explain", { method: last.method || "GET", url, as: last.client });
      return setFound({ last, url, answer });
    } catch (error) {
      return setFound({ error: error.message });
    }
  };
  return (
    <section>
      <h3>Last failure</h3>
      <button type="button" class="explain" onClick={explain}>Explain the last failure</button>
      {found?.error && <p class="error">{found.error}</p>}
      {found?.answer && (
        <div class="explanation">
          <p>
            <b>{found.last.status || "no answer"}</b> {found.last.flags} {found.last.details}
            {found.last.rule && <span> by {found.last.rule}</span>}
          </p>
          <p>
            asked now: {found.answer.outcome}, {found.answer.reason || "no early exit"}
            {found.answer.fault && <span>; a fault is injected here</span>}
          </p>
          <ol>
            {(found.answer.steps ?? []).map((step, index) => (
              <li key={index}>
                {step.text ?? String(step)}
                {step.location?.file && <small> {`${step.location.file}:${step.location.line}`}</small>}
              </li>
            ))}
          </ol>
          <Command>{`nodemesh explain ${found.last.method || "GET"} '${found.url}' --as ${found.last.client}`}</Command>
        </div>
      )}
    </section>
  );
}

export function EdgePanel({ edge, frame }) {
  const source = edge.source.split("/").slice(1).join("/");
  return (
    <>
      <h2>{source} → {edge.target.split("/").slice(1).join("/")}</h2>
      <p class={health(edge.failing)}>
        <b>{rate(edge.rps)}</b> {edge.protocol}, {percent(edge.failing)} fail, p50 {milliseconds(edge.p50_ms)}, p99{" "}
        {milliseconds(edge.p99_ms)}
      </p>
      {edge.since_change && <p class="quiet">counted since its rules changed, {duration(edge.since_change)} ago</p>}
      <Sparkline key={edge.id} value={edge.rps} name="requests" />
      {edge.parts && (
        <section>
          <h3>Edges in here, worst first</h3>
          <table>
            <tbody>
              {[...edge.parts].sort((one, other) => other.failing - one.failing).slice(0, 20).map((part) => (
                <tr key={part.id} class={part.errors ? "failing" : ""}>
                  <td>{part.source.split("/").pop()} → {part.target.split("/").pop()}</td>
                  <td class="number">{rate(part.rps)}</td>
                  <td class="number">{percent(part.failing)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {!edge.parts && (
        <>
          {edge.versions.length > 0 && (
            <section>
              <h3>Versions</h3>
              <table>
                <tbody>
                  {edge.versions.map((row) => (
                    <tr key={row.workload + row.version} class={row.errors ? "failing" : ""}>
                      <td>{row.workload}</td>
                      <td class="number">{row.mirror ? `mirror ${percent(row.share)}` : percent(row.share)}</td>
                      <td class="number">
                        {row.wished === null ? "" : `wished ${percent(row.wished)}`}
                        {differs(row.share, row.wished, row.requests) ? " !" : ""}
                      </td>
                      <td class="number">{row.errors ? `${row.errors} failed` : ""}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
              {edge.wished_by && <p class="quiet">wished by {edge.wished_by.rule} ({edge.wished_by.location})</p>}
            </section>
          )}
          <section>
            <h3>Codes and flags</h3>
            <Codes codes={edge.codes} requests={edge.requests} />
            <p class="quiet">in this time {bytes(edge.received)} from the clients, {bytes(edge.sent)} to them</p>
          </section>
          <LastFailure key={edge.id} clients={edge.clients} host={edge.host} />
          <section>
            <h3>Last decisions</h3>
            <Decisions clients={edge.clients} host={edge.host} as_of={frame.as_of} />
            <Command>nodemesh connections --client {edge.clients[0]} --host {edge.host}</Command>
          </section>
        </>
      )}
    </>
  );
}

function Endpoints({ host, as_of }) {
  const { rows } = useAnswer("endpoints", {}, Math.floor(as_of / 5));
  const own = (rows ?? []).filter((row) => row.service === host);
  if (!own.length) return <p class="quiet">none</p>;
  return (
    <table>
      <tbody>
        {own.slice(0, 60).map((row) => (
          <tr key={`${row.port} ${row.address}:${row.target_port}`} class={row.ejected_for !== null || row.health !== "ready" ? "failing" : ""}>
            <td>{row.address}:{row.target_port}</td>
            <td>{row.workload.split("/").pop()}</td>
            <td>{row.ejected_for !== null ? `ejected ${Math.round(row.ejected_for)} s ago` : row.health}</td>
            <td class="number">{row.in_flight === null ? "" : `${row.in_flight} in flight`}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Rules({ node }) {
  const { rows } = useAnswer("routes", {}, node.id);
  const names = [node.host, `${node.name}.${node.namespace}`, node.name];
  const own = (rows ?? []).filter((row) => row.hosts.some((host) => names.includes(host) && (host !== node.name || row.virtual_service.startsWith(`${node.namespace}/`))));
  if (!own.length) return <p class="quiet">no VirtualService names it</p>;
  return (
    <ol>
      {own.slice(0, 30).map((row) => (
        <li key={row.virtual_service + row.rule}>
          {row.virtual_service} {row.rule} {row.name} <small>{row.location}</small>
        </li>
      ))}
    </ol>
  );
}

export function NodePanel({ node, frame, onChoose }) {
  const edges = frame.edges.filter((edge) => edge.source === node.id || edge.target === node.id);
  const problems = frame.problems.filter((row) => row.namespace === node.namespace && row.name === node.name);
  return (
    <>
      <h2>{node.namespace ? `${node.namespace}/${node.name}` : node.name}</h2>
      {node.modes?.map((port) => (
        <p key={port.port} class="mode">
          <b>{port.port}</b> {port.protocol}: {port.mode} <span class="quiet">{port.why}</span>
        </p>
      ))}
      {problems.length > 0 && (
        <section>
          <h3>Problems</h3>
          <Problems rows={problems} />
        </section>
      )}
      <section>
        <h3>In and out</h3>
        <table>
          <tbody>
            {edges.map((edge) => (
              <tr key={edge.id} class={`link ${edge.errors ? "failing" : ""}`} onClick={() => onChoose({ edge: edge.id })}>
                <td>{edge.source === node.id ? "to" : "from"} {(edge.source === node.id ? edge.target : edge.source).split("/").slice(1).join("/")}</td>
                <td class="number">{rate(edge.rps)}</td>
                <td class="number">{percent(edge.failing)} fail</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {node.host && (
        <>
          <section>
            <h3>Rules</h3>
            <Rules node={node} />
            <Command>nodemesh describe {node.namespace ? `${node.name}.${node.namespace}` : node.host}</Command>
          </section>
          <section>
            <h3>Endpoints</h3>
            <Endpoints host={node.host} as_of={frame.as_of} />
            <Command>nodemesh endpoints {node.host}</Command>
          </section>
        </>
      )}
    </>
  );
}

export function Problems({ rows }) {
  return (
    <ul class="problems">
      {rows.map((row, index) => (
        <li key={index} class={row.severity}>
          <b>{row.severity}</b> {row.message} <small>{row.file}:{row.line} {row.kind} {row.namespace}/{row.name} [{row.code}]</small>
        </li>
      ))}
    </ul>
  );
}

export function Changes({ rows, now }) {
  if (!rows.length) return <p class="quiet">no change yet</p>;
  return (
    <ul class="changes">
      {rows.map((row) => (
        <li key={row.version}>
          <time title={clock(row.at)}>{ago(row.at, now)}</time>{" "}
          <span title={row.causes.join("\n")}>{row.causes.map(brief).join("; ") || "start"}</span>
          {row.count > row.causes.length && ` and ${row.count - row.causes.length} more`}{" "}
          <span class="quiet">{row.seconds >= 0 ? `in force after ${milliseconds(row.seconds * 1000)}` : "not at all workers yet"}</span>
        </li>
      ))}
    </ul>
  );
}

export function Panel({ title, onClose, children }) {
  const box = useRef(null);
  useEffect(() => box.current?.focus(), [title]);
  return (
    <aside class="panel" ref={box} tabIndex={-1} aria-label={title}>
      <button type="button" class="close" aria-label="close" onClick={onClose}>×</button>
      {children}
    </aside>
  );
}
