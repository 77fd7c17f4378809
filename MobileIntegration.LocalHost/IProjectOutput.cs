namespace MobileIntegration.LocalHost;

/// <summary>Where the build put a project, so that it is started without asking the build again. LocalHost's own; generated beside each project class.</summary>
public interface IProjectOutput
{
    /// <summary>The full path of the project's assembly.</summary>
    string AssemblyPath { get; }
}
