using System.ComponentModel.DataAnnotations;

namespace Gateway;

/// <summary>Configuration section <c>AppGate</c>.</summary>
internal sealed class AppGateOptions
{
    /// <summary>Seconds after which the rules are asked for again without news of a change; 1 to 300, 5 unless set.</summary>
    [Range(1, 300, ErrorMessage = "AppGate:PollSeconds must be from 1 to 300.")]
    public int PollSeconds { get; set; } = 5;

    /// <summary>
    /// Calls that do not say which app they come from: <c>pass</c> (unless set; browsers and back-office clients send no such headers) or <c>refuse</c>, 400,
    /// but for the identity provider and clients that call for themselves (RFC 9068: <c>sub</c> is <c>client_id</c>).
    /// </summary>
    [EnumDataType(typeof(GateDefault), ErrorMessage = "AppGate:WithoutHeaders must be pass or refuse.")]
    public GateDefault WithoutHeaders { get; set; } = GateDefault.Pass;

    /// <summary>
    /// Calls before the first rules have come: <c>pass</c> (unless set: rules stop a few, and their absence shall not stop everybody) or
    /// <c>refuse</c>, 503.
    /// </summary>
    [EnumDataType(typeof(GateDefault), ErrorMessage = "AppGate:BeforeRules must be pass or refuse.")]
    public GateDefault BeforeRules { get; set; } = GateDefault.Pass;
}

internal enum GateDefault
{
    Pass,
    Refuse,
}
