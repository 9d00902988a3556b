import type { Actor } from './actor.ts'

/** Whether an actor may see and change a job. */
export function mayReach({ jobs }: Pick<Actor, 'jobs'>, jobId: string): boolean {
  return jobs === undefined || jobs.some((glob) => isMatch(glob, jobId))
}

/**
 * Whether a string matches a glob: `*` matches any characters, `?` matches one. The time grows at most with the product of both lengths.
 */
export function isMatch(glob: string, text: string): boolean {
  let at = 0
  let place = 0
  let star = -1
  let retry = 0
  while (place < text.length) {
    if (glob[at] === '*') {
      star = at++
      retry = place
    } else if (at < glob.length && (glob[at] === '?' || glob[at] === text[place])) {
      at++
      place++
    } else if (star >= 0) {
      at = star + 1
      place = ++retry
    } else return false
  }
  while (glob[at] === '*') at++
  return at === glob.length
}
