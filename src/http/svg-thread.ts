// The thread of svg-pictures.ts: Graphviz computes for as long as it takes.
import { parentPort, workerData } from 'node:worker_threads'
import { isPikoError } from '../errors.ts'
import { toSvg } from '../service/graph/svg.ts'

/** What the thread answers: an error would lose its code on the way. */
export type Drawn = { readonly svg: string } | { readonly missing: string }

let drawn: Drawn
try {
  drawn = { svg: await toSvg(workerData as string) }
} catch (error) {
  if (!isPikoError(error, 'PACKAGE_MISSING')) throw error
  drawn = { missing: error.message }
}
parentPort?.postMessage(drawn)
