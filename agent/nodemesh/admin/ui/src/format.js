// Numbers as people read them, and what an edge's colour says.

/** Kiali's thresholds: from 1 % of failing requests an edge is amber, from 10 % red. */
export const WARNING = 0.01;
export const FAILURE = 0.1;

export function health(failing) {
  if (failing >= FAILURE) return "bad";
  return failing >= WARNING ? "warn" : "good";
}

export function rate(value) {
  if (!value) return "0/s";
  if (value < 0.1) return `${(value * 60).toFixed(1)}/min`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en")}/s`;
}

export function percent(share) {
  const value = share * 100;
  if (value > 0 && value < 1) return `${value.toFixed(1)} %`;
  return `${Math.round(value)} %`;
}

export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 && unit ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** In the biggest unit of which it has one. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  return whole < 172800 ? `${Math.floor(whole / 3600)} h` : `${Math.floor(whole / 86400)} d`;
}

export function ago(moment, now) {
  return `${duration(now - moment)} ago`;
}

/** Whether a measured share differs from the wished one by more than chance: three standard errors. */
export function differs(share, wished, requests) {
  if (wished === null || wished === undefined || !requests) return false;
  const error = Math.sqrt((wished * (1 - wished)) / requests);
  return Math.abs(share - wished) > Math.max(3 * error, 0.005);
}

/** A moment as the agent's log and the commands have it, in this place's time. */
export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB");
}

/** A sentence with its files' names alone: where they lie is the same for most. */
export function brief(text) {
  return text.replace(/\((?:\/[^()\s]*)?\/([^()/\s]+:\d+)\)/g, "($1)");
}

export function short(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
