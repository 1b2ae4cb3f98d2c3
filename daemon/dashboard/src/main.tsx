import { render } from "preact";
import { href, useAddress } from "./address";
import { start, useLive } from "./live";
import { Data } from "./views/data";
import { Pipeline } from "./views/pipeline";
import { StormView } from "./views/storm";
import "./app.css";

const VIEWS: [string, string][] = [
  ["pipeline", "Pipeline"],
  ["data", "Data"],
  ["storm", "Storm"],
];

function Connection() {
  const live = useLive();
  const status = live.status;
  const text = live.lost
    ? `lost since ${live.lost.toISOString().slice(11, 19)} UTC`
    : status
      ? `${status.phase}${status.paused ? ", paused" : status.idle ? ", idle" : ""}`
      : "connecting";
  return (
    <p class={`connection ${live.lost ? "lost" : status ? "there" : ""}`} role="status" id="connection">
      {text}
    </p>
  );
}

function Warnings() {
  const live = useLive();
  return (
    <>
      {live.lost && (
        <div class="banner" role="alert">
          The daemon does not answer. What is shown is from before {live.lost.toISOString().slice(11, 19)} UTC; the page goes on by itself when it is back.
        </div>
      )}
      {!live.lost && live.status?.error && (
        <div class="banner" role="alert">
          {live.status.error.text}
        </div>
      )}
    </>
  );
}

function App() {
  const address = useAddress();
  const live = useLive();
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>
        To the content
      </a>
      <header class="top">
        <h1>
          <a href="#/pipeline">sevird</a>
        </h1>
        <nav aria-label="Views">
          {VIEWS.map(([view, title]) => (
            <a key={view} href={href(view)} aria-current={address.view === view ? "page" : undefined}>
              {title}
            </a>
          ))}
        </nav>
        <Connection />
      </header>
      <Warnings />
      <main id="main" tabIndex={-1} class={live.lost ? "stale" : ""}>
        {address.view === "data" ? <Data address={address} /> : address.view === "storm" ? <StormView address={address} /> : <Pipeline />}
      </main>
      <footer>
        Times are UTC. <a href="/metrics">metrics</a> <a href="/v1">interfaces</a> <a href="/v1/config">configuration</a>
      </footer>
    </>
  );
}

function show() {
  const frame = document.getElementById("app")!;
  frame.replaceChildren();
  render(<App />, frame);
}

start();
// The frame is painted first: no view, however full, keeps the page blank.
if (document.visibilityState === "visible") requestAnimationFrame(() => setTimeout(show));
else show();
