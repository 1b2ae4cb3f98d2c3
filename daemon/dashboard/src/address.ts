/** The page's state lives in the address, behind the #: "#/data?type=vil&from=2019-05-01". */
import { useEffect, useState } from "preact/hooks";

export interface Address {
  view: string;
  args: URLSearchParams;
}

function read(): Address {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { view: path || "pipeline", args: new URLSearchParams(query ?? "") };
}

export function href(view: string, args?: URLSearchParams | Record<string, string>): string {
  const query = new URLSearchParams(args ?? {}).toString();
  return `#/${view}${query ? `?${query}` : ""}`;
}

/** `replace`: no step of the browser's history (a slider that is dragged). */
export function go(view: string, args?: URLSearchParams | Record<string, string>, replace = false) {
  if (replace) {
    history.replaceState(null, "", href(view, args));
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = href(view, args);
  }
}

export function useAddress(): Address {
  const [address, setAddress] = useState(read);
  useEffect(() => {
    const onChange = () => setAddress(read());
    window.addEventListener("hashchange", onChange);
    return () => window.removeEventListener("hashchange", onChange);
  }, []);
  return address;
}
