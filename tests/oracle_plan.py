"""The stream of an epoch, the slow and obvious way."""

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
LOOK_AHEAD = 256
WINDOW = 50
TOKEN, IMAGE = 51_200, 28


def splitmix64(key: int, counter: int) -> int:
    z = (key + GOLDEN * (counter + 1)) & MASK
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def epoch_key(fingerprint: int, seed: int, epoch: int) -> int:
    key = 0
    for part in (fingerprint, seed, epoch):
        key = splitmix64(key ^ part, 0)
    return key


def order(lengths, key, shuffle):
    usable = [i for i, length in enumerate(lengths) if length]
    return sorted(usable, key=lambda i: splitmix64(key, i)) if shuffle else usable


def look_ahead(records, lengths, images, room):
    packs, waiting = [], list(records)
    while waiting:
        pack = [waiting.pop(0)]
        window = waiting[: LOOK_AHEAD - 1]
        left = room - lengths[pack[0]]
        while fits := [i for i in window if lengths[i] <= left]:
            if len(pack) == 1 and not images[pack[0]]:
                fits = [i for i in fits if images[i]] or fits
            best = max(fits, key=lambda i: lengths[i])  # the first of equals
            pack.append(best)
            window.remove(best)
            waiting.remove(best)
            left -= lengths[best]
        packs.append(pack)
    return packs


def best_fit(records, lengths, room):
    packs, left, used = [], [], []
    for clock, i in enumerate(sorted(records, key=lambda i: -lengths[i]), 1):
        fits = [p for p in range(len(packs)) if left[p] >= lengths[i]]
        if not fits:
            packs.append([])
            left.append(room)
            used.append(0)
            fits = [len(packs) - 1]
        tightest = min(fits, key=lambda p: (left[p], -used[p]))  # of equals the one used last
        packs[tightest].append(i)
        left[tightest] -= lengths[i]
        used[tightest] = clock
    place = {i: n for n, i in enumerate(records)}
    return [sorted(pack, key=place.__getitem__) for pack in packs]


def split_longest(packs, lengths, images, want):
    packs = list(packs)
    while len(packs) < want and any(len(pack) > 1 for pack in packs):
        sizes = [sum(lengths[i] for i in p) if len(p) > 1 else 0 for p in packs]
        longest = sizes.index(max(sizes))
        pack, total = packs[longest], sizes[longest]

        def worth(cut, pack=pack, total=total):
            halves = pack[:cut], pack[cut:]
            pictured = all(any(images[i] for i in half) for half in halves)
            return not pictured, abs(2 * sum(lengths[i] for i in halves[0]) - total), cut

        cut = min(range(1, len(pack)), key=worth)
        packs[longest : longest + 1] = [pack[:cut], pack[cut:]]
    return packs


def count(lengths, images, tokens, seed, fingerprint, shuffle):
    first = order(lengths, epoch_key(fingerprint, seed, 0), shuffle)
    packs = len(look_ahead(first, lengths, images, tokens))
    return min(int(packs * 101 // 100) + 1, len(first))


def cost(pack, lengths, images):
    return sum(lengths[i] ** 2 + TOKEN * (lengths[i] + IMAGE * images[i]) for i in pack)


def epoch(lengths, images, tokens, seed, fingerprint, number, shuffle=True, per_step=1):
    """Packs of an epoch, before they are shared out."""
    want = count(lengths, images, tokens, seed, fingerprint, shuffle)
    key = epoch_key(fingerprint, seed, number)
    records = order(lengths, key, shuffle)
    packs = look_ahead(records, lengths, images, tokens)
    for fitting in (True, False):
        if len(packs) <= want:
            break
        if fitting:
            packs = best_fit(records, lengths, tokens)
        else:
            first = order(lengths, epoch_key(fingerprint, seed, 0), shuffle)
            packs = look_ahead(first, lengths, images, tokens)
        ranking = sorted(range(len(packs)), key=lambda p: splitmix64(key, len(lengths) + p))
        packs = [packs[p] for p in ranking]
    packs = split_longest(packs, lengths, images, want)
    if per_step == 1:
        return packs
    steps = [packs[i : i + per_step] for i in range(0, len(packs), per_step)]
    return [p for step in steps for p in sorted(step, key=lambda p: -cost(p, lengths, images))]


def grouped(lengths, size, seed, fingerprint, number, shuffle=True, per_step=1):
    """Batches of about one length."""
    key = epoch_key(fingerprint, seed, number)
    records = order(lengths, key, shuffle)
    whole = len(records) - len(records) % size
    out = []
    step = size * per_step
    for window in range(0, whole, step * WINDOW):
        some = sorted(records[window : min(window + step * WINDOW, whole)], key=lengths.__getitem__)
        steps = [some[i : i + step] for i in range(0, len(some), step)]
        rest = steps.pop() if len(steps[-1]) < step else []
        first = len(lengths) + window // (step * WINDOW) * WINDOW
        ranking = sorted(range(len(steps)), key=lambda s, first=first: splitmix64(key, first + s))
        out += [i for s in ranking for i in steps[s]] + rest
    out += records[whole:]
    return [out[i : i + size] for i in range(0, len(out), size)]


def rounds(packs, lengths, images, world):
    """One list of `world` batches per step; the last round is dealt out again."""
    out = [packs[i : i + world] for i in range(0, len(packs), world)]
    last = split_longest(out[-1], lengths, images, world)
    out[-1] = last + [[]] * (world - len(last))
    return out
