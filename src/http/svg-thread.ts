// The thread of svg-pictures.ts: Graphviz computes for as long as it takes.
import { parentPort, workerData } from 'node:worker_threads'
import { instance } from '@viz-js/viz'

const viz = await instance()
parentPort?.postMessage(viz.renderString(workerData as string, { format: 'svg' }))
