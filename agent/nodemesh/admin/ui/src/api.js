// The agent's API, as the page asks it.

import { useEffect, useState } from "preact/hooks";

export async function ask(path, query = {}) {
  const pairs = Object.entries(query).flatMap(([name, value]) => [value].flat().map((each) => [name, each]));
  const text = new URLSearchParams(pairs.filter(([, value]) => value !== "" && value !== undefined));
  const answer = await fetch(`${path}${text.size ? `?${text}` : ""}`);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error ?? `the agent answered ${answer.status}`);
  return body;
}

/** What a path answers, asked again when `when` changes. */
export function useAnswer(path, query, when) {
  const [found, setFound] = useState({ rows: null, error: "" });
  const key = `${path} ${JSON.stringify(query)} ${when}`;
  useEffect(() => {
    let stale = false;
    ask(path, query)
      .then((rows) => stale || setFound({ rows, error: "" }))
      .catch((error) => stale || setFound({ rows: null, error: String(error.message ?? error) }));
    return () => (stale = true);
  }, [key]);
  return found;
}

/** What is asked of all nodes' agents. */
export const EVERYWHERE = { mesh: 1 };

/** The live picture: a frame each second, or one of a moment ago. `null` before the first. */
export function useFrames(window, back, namespace, paused) {
  const [frame, setFrame] = useState(null);
  const [error, setError] = useState("");
  useEffect(() => {
    if (paused) return undefined;
    const query = new URLSearchParams({ window, back, namespace, ...EVERYWHERE });
    if (back > 0) {
      let stale = false;
      ask("graph", { window, back, namespace, ...EVERYWHERE })
        .then((found) => stale || setFrame(found))
        .catch((reason) => stale || setError(String(reason.message ?? reason)));
      return () => (stale = true);
    }
    const events = new EventSource(`graph/live?${query}`);
    events.onmessage = (event) => {
      setFrame(JSON.parse(event.data));
      setError("");
    };
    events.onerror = () => setError("the agent does not answer; trying again");
    return () => events.close();
  }, [window, back, namespace, paused]);
  return { frame, error };
}
