import { computed, signal } from '@preact/signals'

const place = signal(new URL(location.href))

/** The path of the page, such as `/runs/17`. */
export const path = computed(() => place.value.pathname)
/** The query parameters of the page. They contain the state of a view that a link to it keeps. */
export const query = computed(() => place.value.searchParams)

/** Goes to a page of the dashboard. */
export function go(target: string): void {
  history.pushState(null, '', target)
  place.value = new URL(location.href)
  scrollTo(0, 0)
}

/** Changes query parameters of the page; an empty value removes one. The browser's back button skips these changes. */
export function setQuery(changes: Readonly<Record<string, string | undefined>>): void {
  const next = new URL(location.href)
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.searchParams.set(name, value)
    else next.searchParams.delete(name)
  }
  if (next.href === location.href) return
  history.replaceState(null, '', next)
  place.value = next
}

/** Returns the values of a pattern such as `/jobs/:id`, or undefined if the address shows another page. */
export function matched(pattern: string): Readonly<Record<string, string>> | undefined {
  const wanted = pattern.split('/')
  const found = path.value.split('/')
  if (wanted.length !== found.length) return undefined
  const values: Record<string, string> = {}
  for (const [index, name] of wanted.entries()) {
    const value = found[index] ?? ''
    if (name.startsWith(':')) values[name.slice(1)] = decoded(value)
    else if (name !== value) return undefined
  }
  return values
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

/** Handles clicks on links, and the browser's history. */
export function startRouter(): void {
  addEventListener('popstate', () => (place.value = new URL(location.href)))
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a') : null
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey
    if (!link || !isPlain || event.defaultPrevented || link.target !== '' || link.origin !== location.origin) return
    if (link.hasAttribute('data-outside')) return
    event.preventDefault()
    go(link.href)
  })
}
