// Tables of all that the agent knows: routes, endpoints, pods, problems, history.

import { useState } from "preact/hooks";
import { EVERYWHERE, useAnswer } from "./api.js";
import { Changes, Command, Problems } from "./panel.jsx";

const SHOWN = 200;

/** Each page: its path, the command that says the same, and its columns. */
const TABLES = {
  routes: {
    command: "nodemesh routes",
    columns: {
      rule: (row) => `${row.virtual_service || row.route} ${row.rule}`,
      hosts: (row) => (row.hosts.length ? row.hosts : row.gateways).join(", "),
      name: (row) => row.name,
      match: (row) => row.when,
      action: (row) => row.does,
      "written at": (row) => row.location,
    },
  },
  endpoints: {
    command: "nodemesh endpoints",
    columns: {
      service: (row) => `${row.service}:${row.port}`,
      endpoint: (row) => `${row.address}:${row.target_port}`,
      state: (row) => (row.ejected_for !== null ? `ejected ${Math.round(row.ejected_for)} s ago` : row.health),
      "in flight": (row) => row.in_flight ?? "",
      workload: (row) => row.workload,
      locality: (row) => row.locality,
    },
  },
  pods: {
    command: "nodemesh pods",
    query: EVERYWHERE,
    columns: {
      node: (row) => row.node,
      pod: (row) => `${row.namespace}/${row.name}`,
      addresses: (row) => row.addresses.join(", "),
      "in the mesh": (row) => (row.enrolled ? "yes" : "no"),
      "why not": (row) => row.why_not || row.dns_why_not,
    },
  },
};

function Table({ name, when }) {
  const { command, columns, query = {} } = TABLES[name];
  const [search, setSearch] = useState("");
  const { rows, error } = useAnswer(name, query, when);
  if (error) return <p class="error">{error}</p>;
  if (!rows) return <p class="quiet">asking …</p>;
  const cells = rows.map((row) => Object.values(columns).map((value) => String(value(row))));
  const wanted = search.toLowerCase();
  const found = wanted ? cells.filter((row) => row.some((cell) => cell.toLowerCase().includes(wanted))) : cells;
  return (
    <>
      <p class="tools">
        <input type="search" placeholder={`search ${name}`} aria-label={`search ${name}`} value={search} onInput={(event) => setSearch(event.target.value)} />
        <span class="quiet">{found.length > SHOWN ? `${SHOWN} of ${found.length}` : found.length}</span> <Command>{command}</Command>
      </p>
      <div class="scroll">
        <table class="page">
          <thead>
            <tr>{Object.keys(columns).map((column) => <th key={column}>{column}</th>)}</tr>
          </thead>
          <tbody>
            {found.slice(0, SHOWN).map((row, index) => (
              <tr key={index}>{row.map((cell, number) => <td key={number}>{cell}</td>)}</tr>
            ))}
          </tbody>
        </table>
      </div>
      {!found.length && <p class="quiet">nothing</p>}
    </>
  );
}

export function Page({ name, frame }) {
  const when = Math.floor((frame?.as_of ?? 0) / 5);
  const problems = useAnswer("config/problems", {}, name === "problems" ? when : 0);
  const changes = useAnswer("changes", {}, name === "history" ? when : 0);
  if (name === "problems") {
    return (
      <>
        <p class="tools"><Command whom=" --admin 127.0.0.1:15000">nodemesh lint</Command></p>
        {problems.rows?.length ? <Problems rows={problems.rows} /> : <p class="quiet">the configuration has no problems</p>}
      </>
    );
  }
  if (name === "history") {
    return (
      <>
        <p class="tools"><Command>nodemesh history</Command></p>
        <Changes rows={changes.rows ?? []} now={frame?.as_of ?? Date.now() / 1000} />
      </>
    );
  }
  return <Table key={name} name={name} when={when} />;
}
