//! UDP socket pairs for RTP (even port) and RTCP (the next, odd one): RFC 3550 §11.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Mutex;

use socket2::{Domain, Protocol, Socket, Type};

/// Half a second of 50 packets/s with the kernel's bookkeeping; a media thread is never away for so long.
const RECEIVE_BUFFER: usize = 64 * 1024;

/// `EMFILE` and `ENFILE`.
const OUT_OF_FILES: [i32; 2] = [
    rustix::io::Errno::MFILE.raw_os_error(),
    rustix::io::Errno::NFILE.raw_os_error(),
];

/// Both sockets of one RTP leg, bound and non-blocking.
#[derive(Debug)]
pub struct SocketPair {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    pub address: IpAddr,
    pub port: u16,
}

#[derive(Debug)]
pub enum PortError {
    /// Every pair of the range is taken, on this address.
    NoPorts { first: u16, last: u16 },
    /// The process, or the machine, may open no more files.
    Sockets(io::Error),
    /// The address cannot be bound at all (not ours, no permission).
    Address(io::Error),
}

/// Hands out pairs from `first..=last`. Starts at a random place and goes round, so that a port is not used again at
/// once: packets of the call before would be taken for the new one's.
#[derive(Debug)]
pub struct PortRange {
    first: u16,
    pairs: u16,
    next: Mutex<u16>,
}

impl PortRange {
    /// `first` is rounded up to even. Returns None where no pair fits.
    pub fn new(first: u16, last: u16, seed: u64) -> Option<Self> {
        let even = first.checked_add(first % 2)?;
        let pairs = last.checked_sub(even)?.checked_add(1)? / 2;
        if pairs == 0 || even == 0 {
            return None;
        }
        let start = u16::try_from(seed % u64::from(pairs)).ok()?;
        Some(Self {
            first: even,
            pairs,
            next: Mutex::new(start),
        })
    }

    pub fn bind(&self, address: IpAddr) -> Result<SocketPair, PortError> {
        for _ in 0..self.pairs {
            let port = self.take_next();
            match bind_pair(address, port) {
                Ok(pair) => return Ok(pair),
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) if OUT_OF_FILES.contains(&error.raw_os_error().unwrap_or(0)) => {
                    return Err(PortError::Sockets(error));
                }
                Err(error) => return Err(PortError::Address(error)),
            }
        }
        Err(PortError::NoPorts {
            first: self.first,
            last: self.first + (self.pairs - 1) * 2 + 1,
        })
    }

    fn take_next(&self) -> u16 {
        let mut next = self
            .next
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let index = *next;
        *next = (index + 1) % self.pairs;
        self.first + index * 2
    }
}

fn bind_pair(address: IpAddr, port: u16) -> io::Result<SocketPair> {
    let rtp = bind_one(SocketAddr::new(address, port))?;
    let rtcp = bind_one(SocketAddr::new(address, port + 1))?;
    Ok(SocketPair {
        rtp,
        rtcp,
        address,
        port,
    })
}

fn bind_one(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        // The same port may then serve an IPv4 leg, and no mapped address ever reaches the latch.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    // Expedited forwarding (RFC 4594 §4.1). Not every container permits it, and the call does not depend on it.
    let marked = if address.is_ipv6() {
        socket.set_tclass_v6(0xB8)
    } else {
        socket.set_tos_v4(0xB8)
    };
    drop(marked);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn pairs_are_even_and_odd_and_all_used_before_none_is_left() {
        let range = PortRange::new(42001, 42010, 7).unwrap();
        let pairs: Vec<_> = (0..4).map(|_| range.bind(LOCAL).unwrap()).collect();
        let ports: HashSet<u16> = pairs.iter().map(|pair| pair.port).collect();
        assert_eq!(ports, HashSet::from([42002, 42004, 42006, 42008]));
        for pair in &pairs {
            assert_eq!(pair.rtcp.local_addr().unwrap().port(), pair.port + 1);
        }
        assert!(matches!(
            range.bind(LOCAL),
            Err(PortError::NoPorts {
                first: 42002,
                last: 42009
            })
        ));
    }

    #[test]
    fn a_taken_rtcp_port_skips_the_pair() {
        let range = PortRange::new(42020, 42023, 0).unwrap();
        let _taken = UdpSocket::bind((LOCAL, 42021)).unwrap();
        assert_eq!(range.bind(LOCAL).unwrap().port, 42022);
    }

    #[test]
    fn a_pair_is_free_again_when_dropped() {
        let range = PortRange::new(42030, 42031, 0).unwrap();
        drop(range.bind(LOCAL).unwrap());
        assert_eq!(range.bind(LOCAL).unwrap().port, 42030);
    }

    #[test]
    fn foreign_address_is_its_own_error() {
        let range = PortRange::new(42040, 42049, 0).unwrap();
        assert!(matches!(
            range.bind("192.0.2.1".parse().unwrap()),
            Err(PortError::Address(_))
        ));
    }

    #[test]
    fn ipv6_and_ipv4_share_port_numbers() {
        let range = PortRange::new(42050, 42051, 0).unwrap();
        let _four = range.bind(LOCAL).unwrap();
        match range.bind(IpAddr::V6(Ipv6Addr::LOCALHOST)) {
            Ok(pair) => assert_eq!(pair.port, 42050),
            Err(error) => assert!(
                matches!(error, PortError::Address(_)),
                "no IPv6 here: {error:?}"
            ),
        }
    }

    #[test]
    fn empty_ranges_are_refused() {
        assert!(PortRange::new(42001, 42001, 0).is_none());
        assert!(PortRange::new(42003, 42002, 0).is_none());
        assert!(PortRange::new(65535, 65535, 0).is_none());
        assert!(PortRange::new(65534, 65535, 3).is_some());
    }
}
