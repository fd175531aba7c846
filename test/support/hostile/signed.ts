import { isLoopback, parseAddress } from '../../../overlay/address.js'
import { grantCodec, orderCodec, reportCodec, reportFactCodec } from '../../../proto/codec/facts.js'
import {
  announceMethod,
  decodeContact,
  dialBackMethod,
  encodeContactBody,
  encodeRecordBody,
  findNodeMethod,
  pingMethod,
  storeRecordMethod,
} from '../../../proto/codec/overlay.js'
import { jobSpecCodec } from '../../../proto/codec/spec.js'
import { methods } from '../../../proto/methods.js'
import type { BootId, Digest, JobId, Key, Order, OrderBody, Report, ReportFact, Signed } from '../../../proto/model.js'
import type { Hello } from '../../../proto/work-messages.js'
import type { Random } from '../../../runtime/random.js'
import type { Codec } from '../../../runtime/transport.js'
import type { Attack, Stranger } from './attack.js'
import { specOf } from './lies.js'
import { mutated } from './messages.js'
import { mutatedValue } from './values.js'

/** Messages of one call or stream: encoded requests to the method at `path`. */
export interface SignedRequest {
  readonly path: string
  readonly messages: readonly Uint8Array[]
}

const NO_BYTES = new Uint8Array(0)
const DIGEST = '5a'.repeat(32) as Digest

/** A hostile encoding of `value`: one leaf changed before it is written, or bytes changed after. */
function hostile<T>(random: Random, encode: (value: T) => Uint8Array, value: T): Uint8Array {
  if (random.int(2) === 0) {
    try {
      return encode(mutatedValue(value, random) as T)
    } catch {
      // What our own writer refuses a stranger's would not.
    }
  }
  return mutated(encode(value), random)
}

/**
 * One request whose outside is right and whose signatures are valid, over hostile content: a spec, order, grant, report, ticket,
 * record or contact. `own`: a job of the stranger that the peer has.
 */
export function signedRequest(attack: Attack, from: Stranger, own: JobId): SignedRequest {
  const { random } = attack
  const requests = [spec, order, facts, work, record, contact]
  return requests[random.int(requests.length)]!(attack, from, own)
}

function sign({ identity }: Stranger, tag: string, bytes: Uint8Array): Signed {
  return { bytes, signature: identity.signer.sign(tag, bytes) }
}

function encoded<T>({ path, request }: { path: string; request: Codec<T> }, value: T): SignedRequest {
  return { path, messages: [request.encode(value)] }
}

function spec(attack: Attack, from: Stranger): SignedRequest {
  const { random } = attack
  const signed = sign(from, 'spec', hostile(random, jobSpecCodec.encode, specOf(attack, from)))
  if (random.int(3) === 0) return encoded(methods.activate, { spec: signed, orders: [], shard: random.int(3) })
  if (random.int(2) === 0) return encoded(methods.keepJob, { spec: signed, orders: [], shards: [] })
  return encoded(methods.submit, { spec: signed })
}

function orderBody(random: Random, from: Stranger): OrderBody {
  const bodies: readonly OrderBody[] = [
    { type: 'release', units: [{ first: 0, count: 10 }] },
    { type: 'seal' },
    { type: 'amend', expiresAtMs: Date.now(), priority: 3, maxInstances: 20, ownerRadius: 'ff'.repeat(20) as Key },
    {
      type: 'rulings',
      judge: from.identity.publicKey,
      profile: 0,
      rulings: [
        { unit: 3, outcome: 'done', digest: DIGEST, convicted: [], rightGrantors: [], wrongGrantors: [] },
        {
          unit: 7,
          outcome: 'trap',
          digest: DIGEST,
          convicted: [from.identity.publicKey],
          rightGrantors: [from.identity.nodeId],
          wrongGrantors: [],
        },
      ],
    },
  ]
  return bodies[random.int(bodies.length)]!
}

function order(attack: Attack, from: Stranger, own: JobId): SignedRequest {
  const { random } = attack
  const body = orderBody(random, from)
  const value: Order = { jobId: own, seq: random.int(2 ** 31), createdAtMs: Date.now(), body }
  return encoded(methods.give, { order: sign(from, 'order', hostile(random, orderCodec.encode, value)) })
}

/** A report on some units with the grant that its worker gave itself; either is hostile, or both. */
function hostileFact(attack: Attack, from: Stranger, own: JobId): ReportFact {
  const { random } = attack
  const { publicKey, idNonce } = from.identity
  const grant = {
    jobId: own,
    shard: 0,
    grantor: publicKey,
    grantorIdNonce: idNonce,
    worker: publicKey,
    age: 'older',
    nonce: Buffer.from(random.bytes(8)).toString('hex'),
    runs: [{ first: 0, count: 10, opinion: 0 }],
    durationMs: 60_000,
  } as const
  const report: Report = {
    jobId: own,
    shard: 0,
    worker: publicKey,
    donor: publicKey,
    donorSignature: NO_BYTES,
    results: [{ unit: random.int(10), outcome: 'done', digest: DIGEST, outputBytes: 10, fuel: 1n }],
  }
  const isBare = random.int(3) === 0
  const grantBytes = isBare ? grantCodec.encode(grant) : hostile(random, grantCodec.encode, grant)
  return {
    report: sign(from, 'report', hostile(random, reportCodec.encode, report)),
    grants: [sign(from, 'grant', grantBytes)],
  }
}

function facts(attack: Attack, from: Stranger, own: JobId): SignedRequest {
  const fact = reportFactCodec.encode(hostileFact(attack, from, own))
  const outputs = [{ unit: attack.random.int(10), bytes: attack.random.bytes(20) }]
  return encoded(methods.offer, { facts: [{ fact, outputs }] })
}

function work(attack: Attack, from: Stranger, own: JobId): SignedRequest {
  const { random } = attack
  const hello: Hello = {
    type: 'hello',
    bootId: Buffer.from(random.bytes(8)).toString('hex') as BootId,
    slots: 1 + random.int(8),
    tasks: [],
    memoryBytes: 2 ** 30,
    jobId: undefined,
    donor: undefined,
    donorSignature: NO_BYTES,
    tickets: hostileFact(attack, from, own).grants,
    profile: 0,
  }
  const { up } = methods.work
  const report = () =>
    up.encode({ type: 'report', fact: hostileFact(attack, from, own), outputs: [], wallMs: random.int(2 ** 31) })
  return { path: methods.work.path, messages: [up.encode(hello), report(), report(), report()] }
}

function record(attack: Attack, from: Stranger): SignedRequest {
  const { random } = attack
  const body = {
    kind: `jobs.${random.int(9)}`,
    key: Buffer.from(random.bytes(20)).toString('hex') as Key,
    publicKey: from.identity.publicKey,
    seq: BigInt(random.int(2 ** 31)),
    expiresAtMs: Date.now() + 3_600_000,
    value: random.bytes(32),
  }
  const signed = sign(from, 'record', hostile(random, encodeRecordBody, body))
  return encoded(storeRecordMethod, { caller: undefined, record: { ...body, signed } })
}

/** Whether a peer would believe the contact and dial it somewhere else than on this machine: never a target of ours. */
function mayBeDialled(signed: Signed): boolean {
  try {
    return decodeContact(signed).addresses.some((address) => !isLoopback(parseAddress(address).host))
  } catch {
    return false
  }
}

function contact(attack: Attack, from: Stranger, own: JobId): SignedRequest {
  const { random } = attack
  const made = sign(from, 'contact', hostile(random, encodeContactBody, from.contact))
  const signed = mayBeDialled(made) ? from.contact.signed : made
  const caller = { ...from.contact, signed }
  const key = own.slice(0, 40) as Key
  const announcement = {
    jobId: own,
    submitter: from.identity.publicKey,
    ready: 1,
    expiresInMs: 1_000,
    header: random.bytes(20),
  }
  const requests = [
    () => encoded(pingMethod, { caller }),
    () => encoded(findNodeMethod, { caller, target: key }),
    () => encoded(dialBackMethod, { caller }),
    () => encoded(announceMethod, { caller, announcement }),
  ]
  return requests[random.int(requests.length)]!()
}
