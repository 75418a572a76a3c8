//! temp
/// temp
pub trait PeerFacing {
    /// temp
    fn code(&self) -> &'static str;
    /// temp
    fn public_message(&self) -> String;
    /// temp
    fn grpc(&self) -> tonic::Code;
}
