import type { ComponentChildren } from "preact";
import { local, utc } from "../format";

/** UTC on the page, the reader's own time on hover. */
export function Time({ at, seconds = true, className }: { at: string | null; seconds?: boolean; className?: string }) {
  if (!at) return <span class={className}>–</span>;
  return (
    <time class={className} dateTime={at} title={local(at)}>
      {utc(at, seconds)}
    </time>
  );
}

export function Panel(props: {
  title: string;
  id?: string;
  note?: ComponentChildren;
  /** A note that changes while it is seen: one line, whatever it says. */
  line?: ComponentChildren;
  tools?: ComponentChildren;
  className?: string;
  children: ComponentChildren;
}) {
  const id = props.id ?? props.title.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return (
    <section class={`panel ${props.className ?? ""}`} aria-labelledby={`${id}-title`} id={id}>
      <header>
        <h2 id={`${id}-title`}>{props.title}</h2>
        {props.note && <p class="note">{props.note}</p>}
        {props.line !== undefined && <p class="note line">{props.line || " "}</p>}
        {props.tools && <div class="tools">{props.tools}</div>}
      </header>
      {props.children}
    </section>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function Trouble({ text, again }: { text: string; again?: () => void }) {
  return (
    <p class="trouble" role="alert">
      {text}{" "}
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </p>
  );
}

/** A key or an id: text, whatever it looks like; the middle of a long one may be broken anywhere. */
export function Key({ children }: { children: string }) {
  return <code class="key">{children}</code>;
}
