import type { JobDefinition } from 'piko'
import type { Finding } from './finding.ts'
import type { Scene } from './scene.ts'

/** A promise of the crawler, and how it is checked. @typeParam Options JSON, because each node gets them as an argument */
export interface Line<Options> {
  readonly what: string
  readonly crawl: (options: Options) => JobDefinition
  readonly check: (scene: Scene<Options>) => Promise<readonly Finding[]>
}
