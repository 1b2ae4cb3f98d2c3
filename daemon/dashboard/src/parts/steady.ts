/** A list that gets its new rows at the top, without taking from under the eyes what is being read. */
import { useLayoutEffect, useRef } from "preact/hooks";

/** What is left of the way after each frame of a slide. */
const LEFT = 0.75;

/** Slides `list` from where it was to its place. Steps of our own: rows that come meanwhile add to what is left. */
class Slide {
  private away = 0;
  private frame = 0;
  private fresh = false; // this very frame shows the rows where they were

  begin(list: HTMLElement, moved: number) {
    this.away -= moved;
    this.fresh = true;
    this.show(list);
    this.frame ||= requestAnimationFrame(() => this.step(list));
  }

  private step(list: HTMLElement) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!this.fresh) this.away = still || this.away > -1 ? 0 : this.away * LEFT;
    this.fresh = false;
    this.show(list);
    this.frame = this.away === 0 ? 0 : requestAnimationFrame(() => this.step(list));
  }

  private show(list: HTMLElement) {
    list.style.transform = `translateY(${this.away}px)`;
  }
}

/**
 * `list` holds the rows, `box` scrolls them. Rows that come slide in; while somebody has scrolled
 * down, points into the box or has the focus there, what is seen stays where it is.
 */
export function useSteady<Box extends HTMLElement, List extends HTMLElement>(newest: unknown) {
  const box = useRef<Box>(null);
  const list = useRef<List>(null);
  const first = useRef<HTMLElement | null>(null);
  const held = useRef(false);
  const slide = useRef(new Slide());
  useLayoutEffect(() => {
    const was = first.current;
    const now = (list.current?.firstElementChild ?? null) as HTMLElement | null;
    first.current = now;
    if (!was?.isConnected || !now || !box.current || !list.current) return;
    const moved = was.offsetTop - now.offsetTop;
    if (moved <= 0) return;
    const read = box.current.matches(":hover, :focus-within");
    if (read || box.current.scrollTop > 0) {
      held.current ||= read && box.current.scrollTop === 0;
      box.current.scrollTop += moved;
    } else {
      slide.current.begin(list.current, moved);
    }
  }, [newest]);
  const release = () => {
    if (held.current) box.current?.scrollTo({ top: 0 });
    held.current = false;
  };
  return { box, list, release };
}
