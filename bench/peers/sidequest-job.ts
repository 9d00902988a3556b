import { Job } from 'sidequest'
import type { Payload } from '../harness/system.ts'

/** Sidequest loads the class by the path of this file. With its inline runner that is the same module. */
export class NoopJob extends Job {
  static begun: (id: number) => void = () => {}

  run(job: Payload): number {
    NoopJob.begun(job.id)
    return job.id
  }
}
