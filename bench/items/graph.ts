import { hash } from 'node:crypto'

/** The pages to which page n of a site with `pages` pages links. The links reach every page, and about as many more lead to known pages. */
export function linksOf(n: number, pages: number): number[] {
  return [2 * n + 1, 2 * n + 2, Math.floor(n / 2)].filter((next) => next < pages)
}

/** How many of all links lead to a page that is already known, from another link or as the seed. */
export function duplicatesOf(pages: number): number {
  let links = 0
  for (let n = 0; n < pages; n++) links += linksOf(n, pages).length
  return links - (pages - 1)
}

export function urlOf(n: number): string {
  return `https://site.test/page/${n}`
}

export function numberOf(url: string): number {
  return Number(url.slice(url.lastIndexOf('/') + 1))
}

export function printOf(url: string): string {
  return hash('sha256', url, 'base64url')
}
