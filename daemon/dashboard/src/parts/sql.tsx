/** A chart's rows: as CSV, and the SQL that gives them, which can be read, copied and run. */
import { useState } from "preact/hooks";
import { get, Problem, type Rows } from "../api";

export interface Chart {
  title: string;
  sql: string;
  data: Rows & { types: string[]; truncated: boolean };
}

export function RowTable({ data }: { data: Rows }) {
  return (
    <table class="rows">
      <thead>
        <tr>
          {data.columns.map((name) => (
            <th key={name}>{name}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {data.rows.slice(0, 200).map((row, i) => (
          <tr key={i}>
            {row.map((cell, j) => (
              <td key={j} class={typeof cell === "number" ? "num" : undefined}>
                {cell === null ? <span class="note">–</span> : String(cell)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function ChartTools({ name, query, chart }: { name: string; query: string; chart: Chart | undefined }) {
  const [open, setOpen] = useState(false);
  const [rows, setRows] = useState<Rows | null>(null);
  const [note, setNote] = useState("");
  const path = `/v1/data/${name}?${query}`;
  const run = async () => {
    setNote("running…");
    try {
      const began = performance.now();
      const answer = await get<Chart>(path);
      setRows(answer.data);
      setNote(`${answer.data.rows.length} rows in ${Math.round(performance.now() - began)} ms`);
    } catch (error) {
      setNote((error as Problem).message);
    }
  };
  return (
    <>
      <span class="chart-tools">
        <a href={`${path}${query ? "&" : ""}format=csv`} download={`${name}.csv`} aria-label={`${chart?.title ?? name}: rows as CSV`}>
          CSV
        </a>
        <button type="button" class="link" aria-expanded={open} onClick={() => setOpen(!open)} aria-label={`${chart?.title ?? name}: its SQL`}>
          SQL
        </button>
      </span>
      {open && (
        <div class="sql">
          <pre tabIndex={0}>{chart?.sql ?? ""}</pre>
          <p>
            <button type="button" onClick={run}>
              Run
            </button>{" "}
            <button type="button" onClick={() => navigator.clipboard?.writeText(chart?.sql ?? "").then(() => setNote("copied"))}>
              Copy
            </button>{" "}
            <span class="note" role="status">
              {note}
            </span>
          </p>
          <p class="note">
            Or any other over <code>events</code>, <code>frames</code>, <code>flashes</code>, <code>event_summary</code>: <code>sevirctl query "…"</code>
          </p>
          {rows && (
            <div class="scroll" tabIndex={0} role="region" aria-label="Rows">
              <RowTable data={rows} />
            </div>
          )}
        </div>
      )}
    </>
  );
}
