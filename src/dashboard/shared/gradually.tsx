import { useEffect, useRef, useState } from 'preact/hooks'

const FIRST = 40
const MORE = 120
/** How far outside the visible part further rows are already added. */
const MARGIN = '600px'

/**
 * Shows the first rows of a long table, and adds more when the end of the table becomes visible, so that the browser need not draw
 * invisible rows.
 *
 * @param restart if this value changes, the list begins with the first rows again
 */
export function useGradually<T>(all: readonly T[], restart: string) {
  const [shown, setShown] = useState({ restart, count: FIRST })
  const end = useRef<HTMLTableRowElement>(null)
  const count = shown.restart === restart ? shown.count : FIRST
  const isMore = count < all.length
  useEffect(() => {
    if (!end.current) return
    const watch = new IntersectionObserver(
      (entries) => {
        if (entries.some(({ isIntersecting }) => isIntersecting)) setShown({ restart, count: count + MORE })
      },
      { rootMargin: MARGIN },
    )
    watch.observe(end.current)
    return () => watch.disconnect()
  }, [restart, count, isMore])
  return { rows: all.slice(0, count), end: isMore ? <tr ref={end} class="more-rows" aria-hidden="true" /> : null }
}
