/**
 * Returns the delay between a tick and its run. It is a whole number of milliseconds from 0 to `mostMs`, spread evenly over jobs and ticks.
 * The same job and tick always get the same delay, so that two planners agree. Pure.
 */
export function jitterOf(jobId: string, tick: Date, mostMs: number): number {
  if (mostMs === 0) return 0
  return Math.floor((hash(`${jobId}@${tick.getTime()}`) / 2 ** 32) * (mostMs + 1))
}

/**
 * Hashes a string with FNV-1a and the final step of murmur. FNV-1a alone returns similar values for strings that differ only at their ends.
 */
function hash(text: string): number {
  let mixed = 0x811c9dc5
  for (let index = 0; index < text.length; index++) mixed = Math.imul(mixed ^ text.charCodeAt(index), 0x01000193)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
