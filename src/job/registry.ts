import { closest, distance } from 'fastest-levenshtein'
import { propertyOf } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import { assertDependencies } from './dependencies.ts'
import { Faults } from './faults.ts'
import { assertResources } from './job-resources.ts'
import { findSources, inFile, type FoundSource, type JobSource } from './job-source.ts'
import {
  bindJob,
  classOf,
  construct,
  decoratedJobs,
  isClass,
  labelOf,
  type DecoratedJob,
  type JobClass,
} from './jobs-of.ts'
import type { JobDefinition } from './spec.ts'

/** The jobs of a process, by id and in the order of their sources. Immutable. */
export class JobRegistry implements Iterable<JobDefinition> {
  readonly #jobs: ReadonlyMap<string, JobDefinition>

  private constructor(jobs: ReadonlyMap<string, JobDefinition>) {
    this.#jobs = jobs
  }

  /**
   * Returns a registry of all jobs of the sources. Constructs a class once, unless an instance of it is among the sources.
   *
   * If a definition or a class is given twice, keeps one. If a class and its subclass are both given, an inherited job belongs to the
   * subclass.
   *
   * @throws PikoError `JOB_DUPLICATE`, `JOB_INVALID`, `DEPENDENCY_INVALID`, `RESOURCE_INVALID`, and the errors of `defineJob`; one error
   * names all wrong jobs
   */
  static of(...sources: readonly JobSource[]): JobRegistry {
    const found = findSources(sources)
    const instances = instancesOf(found)
    const faults = new Faults()
    const candidates = new Map<unknown, Candidate>()
    for (const candidate of found.flatMap((source) => faults.gather(() => candidatesOf(source, instances), []))) {
      const id = idOf(candidate)
      const known = candidates.get(id)
      faults.gather(() => void candidates.set(id, known ? pick(String(id), known, candidate) : candidate), undefined)
    }
    const jobs = new Map<string, JobDefinition>()
    for (const candidate of candidates.values()) {
      const definition = faults.gather(() => definitionOf(candidate, instances), undefined)
      if (definition) jobs.set(definition.id, definition)
    }
    faults.throwIfAny()
    assertDependencies(jobs)
    assertResources(jobs.values())
    return new JobRegistry(jobs)
  }

  /**
   * Returns a registry with these additional jobs.
   *
   * @throws PikoError `JOB_DUPLICATE`
   */
  with(more: readonly JobDefinition[]): JobRegistry {
    if (more.length === 0) return this
    const jobs = new Map(this.#jobs)
    for (const job of more) {
      if (jobs.has(job.id)) {
        throw new PikoError('JOB_DUPLICATE', `job "${job.id}" is defined twice; Piko itself adds a job with this id`, {
          details: { jobId: job.id },
        })
      }
      jobs.set(job.id, job)
    }
    return new JobRegistry(jobs)
  }

  /**
   * Returns a registry with only these jobs.
   *
   * @throws PikoError `JOB_UNKNOWN`
   */
  pick(ids: readonly string[]): JobRegistry {
    return new JobRegistry(new Map(ids.map((id) => [id, this.get(id)])))
  }

  /** Returns the job with this id. @throws PikoError `JOB_UNKNOWN` */
  get(id: string): JobDefinition {
    const job = this.#jobs.get(id)
    if (!job) throw unknown(id, this.ids)
    return job
  }

  find(id: string): JobDefinition | undefined {
    return this.#jobs.get(id)
  }

  get ids(): string[] {
    return [...this.#jobs.keys()]
  }

  get size(): number {
    return this.#jobs.size
  }

  [Symbol.iterator](): Iterator<JobDefinition> {
    return this.#jobs.values()
  }
}

type Candidate =
  | { readonly kind: 'definition'; readonly definition: JobDefinition; readonly origin: string }
  | MethodCandidate

interface MethodCandidate {
  readonly kind: 'method'
  readonly job: DecoratedJob
  /** An instance of the class from the sources; undefined if they contain none. */
  readonly instance: object | undefined
  readonly origin: string
}

function instancesOf(found: readonly FoundSource[]): Map<JobClass, object> {
  const instances = new Map<JobClass, object>()
  for (const source of found) {
    if (source.kind === 'holder' && !isClass(source.holder)) instances.set(classOf(source.holder), source.holder)
  }
  return instances
}

function candidatesOf(source: FoundSource, instances: ReadonlyMap<JobClass, object>): Candidate[] {
  if (source.kind === 'definition') return [source]
  return decoratedJobs(source.holder).map((job) => ({
    kind: 'method',
    job,
    instance: isClass(source.holder) ? instances.get(source.holder) : source.holder,
    origin: `${labelOf(job)}${inFile(source.file)}`,
  }))
}

/** Returns the job's id. For an unreadable id, returns a unique key; the job is refused later with all its problems. */
function idOf(candidate: Candidate): unknown {
  if (candidate.kind === 'definition') return candidate.definition.id
  const id = propertyOf(candidate.job.spec, 'id')
  return typeof id === 'string' ? id : candidate.job
}

/** Returns the ids of the jobs that a source defines. Does not create instances of its classes. */
export function jobIdsIn(source: JobSource): string[] {
  const ids = findSources([source])
    .flatMap((found) => candidatesOf(found, new Map()))
    .map(idOf)
  return [...new Set(ids)].filter((id) => typeof id === 'string')
}

function definitionOf(candidate: Candidate, instances: Map<JobClass, object>): JobDefinition {
  return candidate.kind === 'definition' ? candidate.definition : bind(candidate, instances)
}

/** Decides which of two candidates with the same id is used. */
function pick(id: string, a: Candidate, b: Candidate): Candidate {
  if (a.kind === 'definition' && b.kind === 'definition') {
    if (a.definition === b.definition) return a
  } else if (a.kind === 'method' && b.kind === 'method') {
    const isSame = a.job.spec === b.job.spec && a.job.method === b.job.method
    if (isSame && a.job.class === b.job.class && (a.job.isStatic || a.instance === b.instance)) return a
    if (isSame && isSubclass(b.job.class, a.job.class)) return b
    if (isSame && isSubclass(a.job.class, b.job.class)) return a
  }
  throw new PikoError(
    'JOB_DUPLICATE',
    `job "${id}" is defined twice, by ${a.origin} and by ${b.origin}; ids must be unique`,
    {
      details: { jobId: id, origins: [a.origin, b.origin] },
    },
  )
}

function isSubclass(derived: JobClass, base: JobClass): boolean {
  return Object.prototype.isPrototypeOf.call(base, derived)
}

function bind({ job, instance }: MethodCandidate, instances: Map<JobClass, object>): JobDefinition {
  if (job.isStatic) return bindJob(job, job.class)
  const receiver = instance ?? instances.get(job.class) ?? construct(job.class)
  instances.set(job.class, receiver)
  return bindJob(job, receiver)
}

const LISTED = 20

function unknown(id: string, ids: readonly string[]): PikoError {
  return new PikoError('JOB_UNKNOWN', `no job has the id "${id}"${suggestion(id, ids)}; ${list(ids)}`, {
    details: { jobId: id },
  })
}

function suggestion(id: string, ids: readonly string[]): string {
  if (ids.length === 0) return ''
  const nearest = closest(id, ids)
  return distance(id, nearest) <= Math.max(2, id.length / 3) ? `, did you mean "${nearest}"?` : ''
}

function list(ids: readonly string[]): string {
  if (ids.length === 0) return 'no job is registered'
  const more = ids.length > LISTED ? ` and ${ids.length - LISTED} more` : ''
  return `the jobs are ${ids.slice(0, LISTED).join(', ')}${more}`
}
