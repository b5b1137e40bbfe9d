#!/usr/bin/env python3
"""Makes tests/vectors/records.json: segment and bundle records from docs/PROTOCOL.md 2.9 alone, no code of plait.

Usage: scripts/records.py > tests/vectors/records.json    (scripts/check.sh compares)
"""
import json
import struct

TCP, UDP = 6, 17
LAST = 0x8000


def ones(data):
    """RFC 1071: the sum of 16-bit words with the carries added back, not inverted."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def fill(length, start=0):
    return bytes((start + 7 * n) & 0xFF for n in range(length))


class Packet:
    """A TCP or UDP packet by its fields, so that a piece is made by counting fields on, not by patching bytes."""

    def __init__(self, v6=False, proto=TCP, payload=b"", tos=0, ident=1, label=0, frag=0x4000, hops=64, seq=1,
                 flags=0x10, options=b"", window=512, urgent=0, ports=(40000, 443), ends=None):
        self.__dict__.update(locals())
        if ends is None:
            ends = ("fd000000000000000000000000000001", "fd000000000000000000000000000002") if v6 else ("0a000001", "0a000002")
        self.ends = bytes.fromhex("".join(ends))

    def but(self, **changes):
        fields = {k: v for k, v in self.__dict__.items() if k not in ("self", "ends")}
        half = len(self.ends) // 2
        fields["ends"] = (self.ends[:half].hex(), self.ends[half:].hex())
        return Packet(**{**fields, **changes})

    def above(self, check):
        if self.proto == UDP:
            return struct.pack("!4H", *self.ports, 8 + len(self.payload), check) + self.payload
        words = 5 + len(self.options) // 4
        return struct.pack("!HHIIBBHHH", *self.ports, self.seq & 0xFFFFFFFF, 0x01020304, words << 4, self.flags,
                           self.window, check, self.urgent) + self.options + self.payload

    def pseudo(self):
        length = len(self.above(0))
        return ones(self.ends + struct.pack("!IHBB", length, 0, 0, self.proto))

    def ip(self, length, with_sum):
        if self.v6:
            first = 6 << 28 | self.tos << 20 | self.label
            return struct.pack("!IHBB", first, length, self.proto, self.hops) + self.ends
        head = struct.pack("!BBHHHBBH", 0x45, self.tos, 20 + length, self.ident & 0xFFFF, self.frag, self.hops, self.proto, 0)
        check = ones(head + self.ends) ^ 0xFFFF if with_sum else 0
        return head[:10] + struct.pack("!H", check) + self.ends

    def bytes(self, check, with_sum):
        above = self.above(check)
        return self.ip(len(above), with_sum) + above

    def whole(self):
        """What a host sends: everything computed."""
        check = ones(struct.pack("!H", self.pseudo()) + self.above(0)) ^ 0xFFFF
        if self.proto == UDP and check == 0:
            check = 0xFFFF
        return self.bytes(check, True)

    def partial(self):
        """What a kernel hands over for offload: the pseudo-header's sum in the transport checksum."""
        return self.bytes(self.pseudo(), True)

    def record(self, index, last):
        """The plaintext of a segment record."""
        return self.bytes(index | (LAST if last else 0), False)

    def pieces(self, size):
        """The packets that segmentation makes."""
        cut = [self.payload[at:at + size] for at in range(0, len(self.payload), size)] or [b""]
        made = []
        for index, payload in enumerate(cut):
            flags = self.flags
            if index + 1 < len(cut):
                flags &= ~0x09  # FIN, PSH: on the last only
            if index:
                flags &= ~0x80  # CWR: on the first only
            made.append(self.but(payload=payload, flags=flags, ident=self.ident + index, seq=self.seq + index * size))
        return made


STAMPS = bytes.fromhex("0101080a0001020304050607")
SACK = bytes.fromhex("0101050a0000000100000002") + bytes.fromhex("0101080a0001020304050607")
V4, V6 = dict(v6=False), dict(v6=True, label=0xABCDE)


def zero_sum(packet):
    """A payload whose checksum comes out as zero: its last two bytes take up the rest."""
    blank = packet.but(payload=packet.payload[:-2] + b"\0\0")
    rest = ones(struct.pack("!H", blank.pseudo()) + blank.above(0))
    return packet.but(payload=packet.payload[:-2] + struct.pack("!H", 0xFFFF - rest))


def cuts():
    for name, ip in (("IPv4", V4), ("IPv6", V6)):
        yield f"TCP over {name}, three pieces, the last shorter", Packet(**ip, payload=fill(25)), 10
        yield f"TCP over {name}, all pieces of one length", Packet(**ip, payload=fill(30)), 10
        yield f"TCP over {name}, time stamps in each piece", Packet(**ip, payload=fill(45), options=STAMPS), 20
        yield f"TCP over {name}, SACK and time stamps", Packet(**ip, payload=fill(9), options=SACK), 4
        yield f"TCP over {name}, 40 bytes of options", Packet(**ip, payload=fill(7), options=b"\1" * 40), 3
        yield f"TCP over {name}, CWR first, PSH and FIN last", Packet(**ip, payload=fill(31), flags=0x99, tos=0x02), 11
        yield f"TCP over {name}, all flags", Packet(**ip, payload=fill(12), flags=0xFF, urgent=5), 5
        yield f"TCP over {name}, the sequence number wraps", Packet(**ip, payload=fill(50), seq=0xFFFFFFF0), 12
        yield f"TCP over {name}, single, CWR, PSH and FIN together", Packet(**ip, payload=fill(10), flags=0x99), 10
        yield f"TCP over {name}, single without payload", Packet(**ip, flags=0x11), 1000
        yield f"UDP over {name}, three pieces, the last shorter", Packet(**ip, proto=UDP, payload=fill(25)), 10
        yield f"UDP over {name}, all pieces of one length", Packet(**ip, proto=UDP, payload=fill(20), tos=0xB8), 10
        yield f"UDP over {name}, single of odd length", Packet(**ip, proto=UDP, payload=fill(33)), 100
        yield f"UDP over {name}, single without payload", Packet(**ip, proto=UDP), 100
        yield f"UDP over {name}, a checksum of 0 becomes ffff", zero_sum(Packet(**ip, proto=UDP, payload=fill(16))), 100
        yield f"TCP over {name}, a checksum of 0 stays", zero_sum(Packet(**ip, payload=fill(16))), 100
    yield "IPv4, the identification wraps", Packet(payload=fill(30), ident=0xFFFE), 8
    yield "IPv4, may be fragmented", Packet(proto=UDP, payload=fill(30), frag=0, ident=9), 16
    yield "IPv4, identification 0", Packet(payload=fill(4), ident=0), 2
    yield "IPv6, traffic class and flow label of all ones", Packet(v6=True, tos=0xFF, label=0xFFFFF, payload=fill(4), hops=255), 2


def bundle(entries):
    return b"".join(struct.pack("!H", len(text) | (LAST if form else 0)) + text for form, text in entries)


def ping(payload):
    body = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + payload
    body = body[:2] + struct.pack("!H", ones(body) ^ 0xFFFF) + body[4:]
    return Packet(proto=1).ip(len(body), True) + body


def bundles():
    udp4, udp6 = Packet(proto=UDP, payload=fill(6)), Packet(**V6, proto=UDP, payload=fill(5))
    tcp4, tcp6 = Packet(flags=0x12, options=STAMPS), Packet(**V6, flags=0x11, payload=fill(3))
    as_is, cut = (lambda p: (0, p.whole(), p.whole())), (lambda p: (1, p.record(0, True), p.whole()))
    whole = lambda text: (0, text, text)
    yield "two packets as they are", [as_is(udp4), as_is(udp6)]
    yield "two in segment form", [cut(udp4), cut(udp6)]
    yield "both forms, four kinds", [cut(tcp4), as_is(udp4), cut(tcp6), as_is(udp6)]
    yield "ICMP, as it is, between segments", [cut(tcp4), whole(ping(fill(8))), cut(tcp4.but(seq=2))]
    yield "the same packet twice", [cut(tcp4), cut(tcp4)]
    yield "the shortest packets: no transport header at all", [whole(Packet(proto=59).ip(0, True)), whole(Packet(**V6, proto=59).ip(0, True))]
    yield "UDP without a checksum stays without one", [whole(udp4.bytes(0, True)), cut(udp4)]
    yield "thirty packets", [cut(udp4.but(ident=n)) for n in range(30)]


def changed(text, at, to):
    return text[:at] + to + text[at + len(to):]


def bad_segments():
    tcp = [Packet(payload=fill(25), flags=0x99).pieces(10)[n].record(n, n == 2) for n in range(3)]
    tcp6 = Packet(**V6, payload=fill(9)).record(0, True)
    udp, udp6 = (Packet(**ip, proto=UDP, payload=fill(9)).record(0, True) for ip in (V4, V6))
    yield "empty", b""
    for name, text, ip in (("TCP over IPv4", tcp[0], 20), ("TCP over IPv6", tcp6, 40), ("UDP over IPv4", udp, 20), ("UDP over IPv6", udp6, 40)):
        length_at = 2 if ip == 20 else 4
        length, = struct.unpack_from("!H", text, length_at)
        yield f"{name}: cut by a byte", text[:-1]
        yield f"{name}: a byte more", text + b"\0"
        yield f"{name}: padded to a multiple of 16", text + b"\0" * (16 - len(text) % 16)
        yield f"{name}: the IP length is one more", changed(text, length_at, struct.pack("!H", length + 1))
        yield f"{name}: the IP length is one less", changed(text, length_at, struct.pack("!H", length - 1))
        yield f"{name}: the IP header alone", text[:ip]
        yield f"{name}: half of the transport header", text[:ip + 4]
        yield f"{name}: version 5", changed(text, 0, bytes([0x50 | text[0] & 15]))
        yield f"{name}: ICMP", changed(text, 9 if ip == 20 else 6, b"\1")
    yield "TCP data offset 4", changed(tcp[0], 32, b"\x40")
    yield "TCP data offset beyond the end", changed(tcp6, 52, b"\xf0")
    yield "UDP length one more", changed(udp, 24, struct.pack("!H", 18))
    yield "UDP length one less", changed(udp6, 44, struct.pack("!H", 16))
    yield "UDP length 0", changed(udp6, 44, b"\0\0")
    with_option = Packet(payload=fill(4)).above(LAST)
    options = struct.pack("!BBHHHBBH", 0x46, 0, 24 + len(with_option), 1, 0x4000, 64, TCP, 0) + tcp[0][12:20] + b"\1\1\1\0"
    yield "IPv4 options", options + with_option
    yield "IPv4 header of 16 bytes", changed(tcp[0], 0, b"\x44")
    yield "IPv4 more fragments", changed(udp, 6, b"\x20\0")
    yield "IPv4 later fragment", changed(udp, 6, b"\0\1")
    yield "IPv6 hop-by-hop header", changed(udp6, 6, b"\0")
    yield "IPv6 fragment header", changed(udp6, 6, b"\x2c")
    yield "IPv4 header checksum in its first byte", changed(tcp[0], 10, b"\1")
    yield "IPv4 header checksum in its second byte", changed(udp, 11, b"\1")
    yield "IPv4 header checksum as a host computes it", changed(udp, 10, Packet(proto=UDP, payload=fill(9)).whole()[10:12])
    for name, ip in (("IPv4", V4), ("IPv6", V6)):
        for proto, what in ((TCP, "TCP"), (UDP, "UDP")):
            empty = Packet(**ip, proto=proto)
            yield f"{what} over {name} without payload, first but not last", empty.record(0, False)
            yield f"{what} over {name} without payload, last but not first", empty.record(1, True)
            yield f"{what} over {name} without payload, in the middle", empty.record(1, False)
    piece = Packet(payload=fill(10))
    yield "FIN before the last", piece.but(flags=0x11).record(0, False)
    yield "PSH before the last", piece.but(flags=0x18).record(3, False)
    yield "CWR after the first", piece.but(flags=0x90).record(1, False)
    yield "CWR on the last of several", piece.but(flags=0x90).record(2, True)
    yield "FIN, PSH and CWR in the middle", piece.but(flags=0x99).record(1, False)


def bad_bundles():
    one, two = Packet(proto=UDP, payload=fill(6)), Packet(**V6, flags=0x11, payload=fill(3))
    whole, cut = (0, one.whole()), (1, two.record(0, True))
    good = bundle([whole, cut])
    yield "no entry", b""
    yield "one entry", bundle([whole])
    yield "one entry in segment form", bundle([cut])
    yield "one byte", b"\0"
    yield "a byte after the last entry", good + b"\0"
    yield "padded to a multiple of 16", good + b"\0" * (16 - len(good) % 16)
    yield "a head after the last entry", good + b"\0\0"
    yield "the last entry is cut", good[:-1]
    yield "the last head is cut", bundle([whole, whole]) + b"\0"
    yield "an entry longer than all that follows", changed(good, 0, struct.pack("!H", 0x7FFF))
    yield "an empty entry", bundle([whole, cut, (0, b"")])
    yield "an empty entry in segment form", bundle([(1, b""), whole, cut])
    yield "a packet shorter than its entry", bundle([(0, one.whole() + b"\0"), cut])
    yield "a packet longer than its entry", bundle([(0, one.whole()[:-1]), cut])
    yield "version 7", bundle([(0, changed(one.whole(), 0, b"\x75")), cut])
    yield "not the first of its super-packet", bundle([whole, (1, two.record(1, True))])
    yield "not the last of its super-packet", bundle([whole, (1, two.but(flags=0x10).record(0, False))])
    yield "a segment with a header checksum", bundle([(1, changed(one.record(0, True), 10, b"\1")), cut])
    yield "a complete packet in segment form", bundle([(1, one.whole()), cut])
    yield "a bundle in a bundle", bundle([(0, good), whole])
    yield "a good entry before and after a bad one", bundle([whole, (0, b"\x45" + b"\0" * 19), cut])


def main():
    made = {"cuts": [], "bundles": [], "refused": []}
    for what, packet, size in cuts():
        pieces = packet.pieces(size)
        records = [piece.record(n, n + 1 == len(pieces)) for n, piece in enumerate(pieces)]
        made["cuts"].append({
            "what": what, "transport": packet.proto, "size": size, "super_packet": packet.partial().hex(),
            "plaintexts": [r.hex() for r in records], "packets": [p.whole().hex() for p in pieces]})
    for what, entries in bundles():
        made["bundles"].append({
            "what": what, "entries": [{"form": form, "bytes": text.hex()} for form, text, _ in entries],
            "plaintext": bundle([(form, text) for form, text, _ in entries]).hex(),
            "packets": [packet.hex() for _, _, packet in entries]})
    for kind, cases in ((18, bad_segments()), (19, bad_bundles())):
        made["refused"] += [{"what": what, "type": kind, "plaintext": text.hex()} for what, text in cases]
    print(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
